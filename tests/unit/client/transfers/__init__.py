"""Tests of the parts of the transfer engine that need no network."""
