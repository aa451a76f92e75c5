"""Where the table of commands comes together."""

from client.commands import chats, files, general, people
from client.commands.registry import Registry


def make_registry() -> Registry:
    """Return the registry of all commands."""
    registry = Registry()
    chats.register(registry)
    files.register(registry)
    people.register(registry)
    general.register(registry)
    return registry
