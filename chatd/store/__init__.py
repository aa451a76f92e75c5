"""Where chats are kept: the interface, and its implementations."""
