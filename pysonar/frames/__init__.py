"""Tables as scientists have them: of pandas, polars, Arrow, or a mapping of columns, in and out."""
