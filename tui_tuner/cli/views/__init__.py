"""What is drawn in a terminal: values in, rich renderables out. Nothing here reads a file or knows a command."""
