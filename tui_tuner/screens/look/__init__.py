"""How everything looks: the colours of themes, styles made of them, and the signs that double each colour."""
