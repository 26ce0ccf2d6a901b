"""Between the app and the terminal that it runs in: first frame, output, keys, clipboard, and the end of a session."""
