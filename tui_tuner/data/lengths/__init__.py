"""How long a sequence may be, and what becomes of rows that are longer: turns dropped, cut, or left out."""
