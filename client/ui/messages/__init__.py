"""Messages as rows, pure: Markdown-lite, code, links, files, and how they wrap."""
