"""Notifications: which entries are worth one, and how it is delivered."""
