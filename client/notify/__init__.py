"""Notifications: which messages get one, and how it is delivered."""
