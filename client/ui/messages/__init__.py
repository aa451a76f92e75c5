"""Message rendering as pure functions: Markdown-lite, code, links, files, wrapping."""
