"""Text for the terminal, pure: entries, files, times, styles and wrapping."""
