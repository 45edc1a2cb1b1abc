"""How results are shown: tables in text and HTML, data frames, pictures."""
