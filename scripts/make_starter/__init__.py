"""How the built-in starter is made: an invented world, prose about it, a tokenizer, questions and a small model."""
