"""Tests: ``unit`` without I/O, ``service`` in one process, ``system`` with several."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
"""The root folder of the project."""

PATIENCE = 60.0
"""How many seconds to wait for an event that must come, however busy the machine is."""
