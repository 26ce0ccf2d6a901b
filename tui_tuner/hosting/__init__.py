"""Runs that outlive the terminal: started in a session of their own, watched and steered through files by anyone who
may read them. Nothing here draws, and only `host` and `in_process` open the door to the engine, inside functions."""
