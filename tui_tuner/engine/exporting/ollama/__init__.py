"""Ollama: a Modelfile whose Go template says what the chat template says, and the proof that it does."""
