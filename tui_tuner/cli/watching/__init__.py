"""How a run looks on the command line while it goes on: from its events to a moving line, plain lines or JSON."""
