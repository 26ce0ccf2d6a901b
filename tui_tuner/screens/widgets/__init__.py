"""Widgets that several stations use. Each draws a value that it is given and knows no files, runs or recipes."""
