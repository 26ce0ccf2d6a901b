"""What a run needs of a machine, looked at one thing at a time, each with how to mend it. Never imports torch."""
