"""Modal screens: questions, problems, help. None is larger than 76 by 20 cells."""
