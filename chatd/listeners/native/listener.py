"""The native protocol's listener: streams in, connections out."""

import asyncio
import itertools

from chatd.listeners.gate import Caller
from chatd.listeners.native.connection import Connection
from chatd.listeners.native.outbox import Flusher
from chatd.listeners.native.peer import Site


class NativeListener:
    """Serves the native protocol over the streams that ``sockets`` accept.

    Args:
        site: What all connections share.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._flusher = Flusher(asyncio.get_running_loop())
        self._numbers = itertools.count(1)

    def connect(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        caller: Caller,
    ) -> Connection:
        """Return a new connection; the task that runs it must call this."""
        number = next(self._numbers)
        return Connection(self._site, reader, writer, self._flusher, caller, number)
