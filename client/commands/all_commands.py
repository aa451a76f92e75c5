"""The table of all commands, put together from the modules that define them."""

from client.commands import chats, files, general, people
from client.commands.registry import Registry, Rows


def make_registry(keys: Rows = ()) -> Registry:
    """Return the registry of all commands.

    Args:
        keys: The frontend's keys, as ``/help`` lists them; none if it is empty.
    """
    registry = Registry()
    chats.register(registry)
    files.register(registry)
    people.register(registry)
    general.register(registry, keys)
    return registry
