"""Keys: their names, and the one table of what each does."""
