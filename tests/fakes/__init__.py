"""Servers, links and clients that stand in for the real ones."""
