"""The timeline: the items of the open chat, the visible rows, and their painting."""
