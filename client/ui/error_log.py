"""Where it is noted what goes wrong inside, while the screen is drawn on."""

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
"""A file that is larger is begun anew at the next start."""


class _Noted(logging.Handler):
    """Says in the status line that something was noted.

    Args:
        say: Says it; called on the loop that is running now.
        path: Where it was noted, None for nowhere.
    """

    def __init__(self, say: Callable[[str], None], path: Path | None) -> None:
        super().__init__(logging.ERROR)
        self._loop = asyncio.get_running_loop()
        self._say = say
        self._where = f": see {path}" if path is not None else ""

    def emit(self, record: logging.LogRecord) -> None:
        """Say it; any thread may call this."""
        text = f"something went wrong inside{self._where}"
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._say, text)


@contextlib.contextmanager
def journal(path: Path | None, say: Callable[[str], None]) -> Iterator[None]:
    """Note warnings and errors in a file, instead of writing them on the screen.

    Args:
        path: The file, which is made when there is something to note; None keeps
            nothing.
        say: Told, in a sentence, when it is an error.
    """
    handlers: list[logging.Handler] = [_Noted(say, path)]
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
    """Log what Python would write on the screen by itself.

    That are warnings, and errors that nobody waits for: in threads and destructors.
    Who else wanted to know of them still does.
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
    """A private file, which is opened when something is noted."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8", delay=True)
        self.setLevel(logging.WARNING)
        form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
        self.setFormatter(logging.Formatter(form))
        self._path = path

    def emit(self, record: logging.LogRecord) -> None:
        """Note it; a disk that is full does not end the program."""
        try:
            if self.stream is None:
                make_private_file(self._path)
                if self._path.stat().st_size > MAX_BYTES:
                    self._path.write_bytes(b"")
            super().emit(record)
        except OSError:
            self.stream = None

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Say nothing on the screen."""
