"""The training engine: torch from here down. Front ends reach it through `engine.run` and `engine.chat` only."""
