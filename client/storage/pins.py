"""The pin store: the key by which each server is known."""

from pathlib import Path

from msgspec import Struct, field

from chatd.protocol.links import parse_pin
from client.storage.json_file import JsonFile

AUTHORITY = "authority"


class _Pins(Struct):
    servers: dict[str, str] = field(default_factory=dict)


class PinStore:
    """The keys of the servers, by address (``str(ServerAddress)``).

    Args:
        path: The JSON file; None keeps the pins in memory alone.
    """

    def __init__(self, path: Path | None) -> None:
        self._file = JsonFile(path, _Pins)

    def find(self, server: str) -> str | None:
        """Return the pinned fingerprint, ``AUTHORITY``, or None if never seen.

        Raises:
            DamagedFileError: The file cannot be understood.
        """
        return self._file.read().servers.get(server)

    def trust(self, server: str, fingerprint: str) -> None:
        """Accept this key, and no other, from now on.

        Raises:
            ValueError: That is not a fingerprint.
            DamagedFileError: The file cannot be understood.
        """
        pin = parse_pin(fingerprint)
        self._file.change(lambda pins: pins.servers.update({server: pin}))

    def trust_authority(self, server: str) -> None:
        """Accept what the system's certificate authorities vouch for."""
        self._file.change(lambda pins: pins.servers.update({server: AUTHORITY}))

    def forget(self, server: str) -> None:
        """Forget the key of a server."""

        def edit(pins: _Pins) -> None:
            pins.servers.pop(server, None)

        self._file.change(edit)
