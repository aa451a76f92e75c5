"""What lies over the chat: the switcher, search, help, lists and questions."""
