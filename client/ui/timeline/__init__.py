"""What stands in a chat, which rows of it are seen, and how they reach the screen."""
