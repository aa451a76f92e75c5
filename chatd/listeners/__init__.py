"""Listeners translate between a wire and the service; no rule lives here."""
