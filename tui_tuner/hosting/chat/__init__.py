"""A loaded model in a process of its own, so that whoever draws a conversation never loads torch."""
