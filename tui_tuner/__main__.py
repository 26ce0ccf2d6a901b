"""`python -m tui_tuner` is `tuner`."""

from tui_tuner.cli import main

main()
