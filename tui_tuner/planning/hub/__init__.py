"""The Hugging Face Hub: its cache on this machine, downloads, and the search."""
