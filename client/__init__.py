"""chat: the terminal client of chatd."""
