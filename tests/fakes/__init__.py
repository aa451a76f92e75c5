"""Fake servers, links and clients."""
