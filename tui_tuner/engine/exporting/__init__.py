"""What becomes of a finished adapter: copies, merged models, GGUF files, uploads. Complete and proved, or not there."""
