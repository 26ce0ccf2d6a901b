"""The shapes of random models that a benchmark can name. No torch, so that the command line can check them."""

from typing import Literal

ShapeName = Literal["8b", "1b", "0.5b", "small", "tiny"]
