"""Saved preferences of this device: the time format, and each user's last chat."""

from msgspec import Struct, field

from client.storage.json_file import JsonFile
from client.storage.paths import Paths
from client.text.times import DEFAULT_TIME_FORMAT


class _Kept(Struct):
    time_format: str = DEFAULT_TIME_FORMAT
    # By server, then by user.
    last_chat: dict[str, dict[str, str]] = field(default_factory=dict)


class Preferences:
    """The preferences of this device.

    Args:
        paths: Where they are kept; None keeps them in memory alone.

    Raises:
        DamagedFileError: The file cannot be understood; it is left as it is.
    """

    def __init__(self, paths: Paths | None) -> None:
        self._file = JsonFile(paths.state / "settings.json" if paths else None, _Kept)
        self._time_format = self._file.read().time_format

    @property
    def time_format(self) -> str:
        """The format (of strftime) in which times are shown."""
        return self._time_format

    @time_format.setter
    def time_format(self, form: str) -> None:
        self._time_format = form

        def edit(preferences: _Kept) -> None:
            preferences.time_format = form

        self._file.change(edit)

    def last_chat(self, server: str, user: str) -> str | None:
        """Return the chat that was open last, None if there was none."""
        return self._file.read().last_chat.get(server, {}).get(user)

    def remember_chat(self, server: str, user: str, chat: str) -> None:
        """Remember which chat is open."""
        if self.last_chat(server, user) == chat:
            return

        def edit(preferences: _Kept) -> None:
            preferences.last_chat.setdefault(server, {})[user] = chat

        self._file.change(edit)
