"""Limits on file sizes, quotas and free disk space, and the reasons of refusals."""

from msgspec import Struct

from chatd.protocol.errors import NotAllowedError, StorageFullError, TooLargeError
from chatd.store.blobs import Blobs
from chatd.store.file_store import FileStore

_NO_SPACE = "the server has no room for that file"
_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


class FileLimits(Struct, frozen=True, kw_only=True):
    """The configured limits on files, in bytes, days and numbers of transfers.

    0 is no limit, except for ``size``: no files at all.
    """

    size: int
    user_bytes: int
    total_bytes: int
    free_bytes: int
    expire_days: float
    transfers: int
    user_transfers: int


class FileQuota:
    """Refuses files that are too large; each reason says what would fit.

    Args:
        store: Knows the sizes of all files.
        blobs: Knows the free space of the disk.
        limits: The configured limits; may be replaced at any time.
    """

    def __init__(self, store: FileStore, blobs: Blobs, limits: FileLimits) -> None:
        self._store = store
        self._blobs = blobs
        self.limits = limits

    def check_size(self, size: int) -> None:
        """Check the size of a single file.

        Raises:
            NotAllowedError: This server accepts no files.
            TooLargeError: It is over ``size``.
        """
        most = self.limits.size
        if not most:
            raise NotAllowedError("this server takes no files")
        if size > most:
            raise TooLargeError(
                _too_much("this server takes no file so large", size, most)
            )

    async def check_quota(self, user: str, size: int) -> None:
        """Check that a file of ``size`` bytes fits the user's and the total quota.

        Raises:
            TooLargeError: The user would have more than ``user_bytes``.
            StorageFullError: All users together would have more than ``total_bytes``.
        """
        limits = self.limits
        if not (limits.user_bytes or limits.total_bytes):
            return
        usage = await self._store.file_usage(user)
        left = max(0, limits.user_bytes - usage.user)
        if limits.user_bytes and size > left:
            what = "your files have no room for that one"
            raise TooLargeError(_too_much(what, size, left))
        left = max(0, limits.total_bytes - usage.total)
        if limits.total_bytes and size > left:
            raise StorageFullError(_too_much(_NO_SPACE, size, left))

    async def check_disk(self, size: int, promised: int) -> None:
        """Check that the disk keeps ``free_bytes`` once the file is complete.

        Args:
            size: Bytes of the file still to come.
            promised: Bytes still to come of all other running uploads.

        Raises:
            StorageFullError: It would not.
        """
        free = await self._blobs.free_bytes()
        left = max(0, free - promised - self.limits.free_bytes)
        if size > left:
            raise StorageFullError(_too_much(_NO_SPACE, size, left))

    async def check_floor(self) -> None:
        """Check during an upload that the disk still has ``free_bytes``.

        Raises:
            StorageFullError: It does not.
        """
        if await self._blobs.free_bytes() < self.limits.free_bytes:
            raise StorageFullError(
                "the server's disk became full; what has arrived is kept for a day"
            )


def readable_size(count: int) -> str:
    """Return a number of bytes as readable text, rounded down."""
    size, unit = float(count), 0
    while size >= 1_000 and unit < len(_UNITS) - 1:
        size /= 1_000
        unit += 1
    if unit == 0:
        return "1 byte" if count == 1 else f"{count} bytes"
    return f"{int(size * 10) / 10:.1f} {_UNITS[unit]}"


def _too_much(what: str, size: int, fits: int) -> str:
    has, would_fit = readable_size(size), readable_size(fits)
    if has == would_fit:
        has, would_fit = f"{size:,} bytes", f"{fits:,} bytes"
    return f"{what}: it has {has}, and {would_fit} would fit"
