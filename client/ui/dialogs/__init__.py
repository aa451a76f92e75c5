"""Dialogs over the chat: chat switcher, search, help, days and file transfers."""
