"""How things are said, pure: entries, files and times as text, styles, wrapping."""
