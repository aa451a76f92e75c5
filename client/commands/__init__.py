"""The /commands of the client, for every face.

``make_registry`` returns the table of all of them; ``run`` does what a line of input
says; ``complete`` says what Tab may put there. All three read the same table.
"""

from client.commands.completion import Candidates, complete
from client.commands.dispatch import run
from client.commands.registry import Command, Registry
from client.commands.table import make_registry

__all__ = ["Candidates", "Command", "Registry", "complete", "make_registry", "run"]
