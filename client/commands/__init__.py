"""Slash commands: the table of /commands, their dispatch and Tab completion.

``make_registry`` returns the table of all commands; ``run`` executes a line of input;
``complete`` returns what Tab may insert. All three read the same table, and every
frontend uses them.
"""

from client.commands.all_commands import make_registry
from client.commands.completion import Candidates, complete
from client.commands.dispatch import run
from client.commands.registry import Command, Registry

__all__ = ["Candidates", "Command", "Registry", "complete", "make_registry", "run"]
