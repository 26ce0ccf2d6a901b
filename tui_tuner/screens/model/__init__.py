"""The Model station: what is on this machine or on the hub, what it takes, and under which name it is loaded."""
