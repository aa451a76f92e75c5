"""Where the table of commands comes together."""

from client.commands import chats, files, general, people
from client.commands.registry import Registry, Rows


def make_registry(keys: Rows = ()) -> Registry:
    """Return the registry of all commands.

    Args:
        keys: What ``/help`` says of the keys of the face; none if it is empty.
    """
    registry = Registry()
    chats.register(registry)
    files.register(registry)
    people.register(registry)
    general.register(registry, keys)
    return registry
