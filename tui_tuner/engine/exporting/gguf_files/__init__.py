"""GGUF files: what a llama.cpp program needs of a model, in one file. Written through the `gguf` package alone."""
