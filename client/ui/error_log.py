"""Error log of the full screen: warnings and errors go to a file, not the terminal."""

import asyncio
import contextlib
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from client.storage.paths import make_private_file

_log = logging.getLogger(__name__)

MAX_BYTES = 1_000_000
"""A larger file is emptied when the first record of a run is written."""


class _ErrorReporter(logging.Handler):
    """Reports in the status line that an error was logged.

    Args:
        say: Shows a sentence; called on the loop that is running now.
        path: The log file, None if there is none.
    """

    def __init__(self, say: Callable[[str], None], path: Path | None) -> None:
        super().__init__(logging.ERROR)
        self._loop = asyncio.get_running_loop()
        self._say = say
        self._where = f": see {path}" if path is not None else ""

    def emit(self, record: logging.LogRecord) -> None:
        """Report an error; any thread may call this."""
        text = f"something went wrong inside{self._where}"
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._say, text)


@contextlib.contextmanager
def error_log(path: Path | None, say: Callable[[str], None]) -> Iterator[None]:
    """Log warnings and errors to a file instead of the screen, while it is entered.

    Args:
        path: The file, which is created with its first record; None keeps nothing.
        say: Called with a sentence for the status line after each error.
    """
    handlers: list[logging.Handler] = [_ErrorReporter(say, path)]
    if path is not None:
        handlers.append(_File(path))
    root = logging.getLogger()
    for handler in handlers:
        root.addHandler(handler)
    try:
        with _hooks():
            yield
    finally:
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()


@contextlib.contextmanager
def _hooks() -> Iterator[None]:
    """Log what Python would write to the terminal by itself.

    These are warnings, and errors that reach no caller: in threads and destructors.
    Hooks that were installed before are still called.
    """
    of_thread, of_nobody = threading.excepthook, sys.unraisablehook

    def thread_failed(args: threading.ExceptHookArgs) -> None:
        _log.error("a thread failed", exc_info=args.exc_value)
        if of_thread is not threading.__excepthook__:
            of_thread(args)

    def nobody_waits(args: "sys.UnraisableHookArgs") -> None:
        _log.error("an error was ignored", exc_info=args.exc_value)
        if of_nobody is not sys.__unraisablehook__:
            of_nobody(args)

    threading.excepthook, sys.unraisablehook = thread_failed, nobody_waits
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        threading.excepthook, sys.unraisablehook = of_thread, of_nobody


class _File(logging.FileHandler):
    """A handler for a private file, which is opened with the first record."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8", delay=True)
        self.setLevel(logging.WARNING)
        form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
        self.setFormatter(logging.Formatter(form))
        self._path = path

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; a full disk does not end the program."""
        try:
            if self.stream is None:
                make_private_file(self._path)
                if self._path.stat().st_size > MAX_BYTES:
                    self._path.write_bytes(b"")
            super().emit(record)
        except OSError:
            self.stream = None

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Do nothing: the default writes to the terminal."""
