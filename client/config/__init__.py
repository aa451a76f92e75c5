"""``client.toml``: read and checked, and the file that ``chat config`` writes."""
