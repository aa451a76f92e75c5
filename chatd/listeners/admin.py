"""The admin socket: commands for a running daemon, from its own machine and user.

It is a Unix socket in the data folder that only its owner can open. It carries frames
like the native protocol (``chatd.protocol.frames``), each with one command or its reply
(``chatd.admin.commands``). A connection can carry several commands in a row.
"""

import asyncio
import contextlib
import logging
import os
import socket
from pathlib import Path
from typing import Any

import msgspec

from chatd.admin.administration import Administration
from chatd.admin.commands import AnyCommand
from chatd.backup.backup import BackupError
from chatd.protocol.errors import ChatError, FrameError
from chatd.protocol.frames import FrameDecoder, encode_frame
from chatd.settings.data_folder import DataFolderError
from chatd.system.tasks import Tasks

MAX_COMMAND_BYTES = 65_536
IDLE_SECONDS = 60.0
_READ_BYTES = 65_536

logger = logging.getLogger(__name__)

_decode = msgspec.json.Decoder(AnyCommand).decode


class AdminListener:
    """Serves ``administration`` on a Unix socket; made by ``open``."""

    def __init__(self, administration: Administration) -> None:
        self._administration = administration
        self._server: asyncio.Server | None = None
        self._path: Path | None = None
        self._tasks = Tasks()

    @classmethod
    async def open(cls, administration: Administration, path: Path) -> "AdminListener":
        """Listen at ``path``; a socket left by a killed daemon is replaced.

        The caller must have locked the data folder.

        Raises:
            DataFolderError: It is not possible to listen there.
        """
        listener = cls(administration)
        bound = _bind(path)
        try:
            listener._server = await asyncio.start_unix_server(
                listener._accept, sock=bound
            )
        except BaseException:
            bound.close()
            raise
        listener._path = path
        return listener

    async def close(self) -> None:
        """Stop listening, cancel running commands, and remove the socket."""
        if self._server is not None:
            self._server.close()
        await self._tasks.close()
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._tasks.spawn(self._serve(reader, writer))

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        decoder = FrameDecoder(MAX_COMMAND_BYTES)
        try:
            while True:
                async with asyncio.timeout(IDLE_SECONDS):
                    data = await reader.read(_READ_BYTES)
                if not data:
                    return
                for body in decoder.feed(data):
                    writer.write(encode_frame(await self.answer(body)))
                    await writer.drain()
        except FrameError as error:
            writer.write(encode_frame(_refusal("bad_frame", str(error))))
        except (OSError, TimeoutError):
            logger.debug("an admin connection ended early")
        except Exception:
            logger.exception("an admin connection failed")
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def answer(self, body: bytes) -> bytes:
        """Carry out the command in a body; return the body of the reply."""
        try:
            command = _decode(body)
        except msgspec.DecodeError as error:
            return _refusal("bad_request", f"that is not a command: {error}")
        except (UnicodeDecodeError, RecursionError):
            return _refusal("bad_request", "that is not JSON in UTF-8")
        try:
            return msgspec.json.encode(
                {"ok": await self._administration.carry_out(command)}
            )
        except ChatError as error:
            return _refusal(error.code, error.reason)
        except BackupError as error:
            return _refusal("backup_failed", str(error))
        except Exception:
            logger.exception("the command %s failed", type(command).__name__)
            return _refusal("internal", "the daemon failed; its log says why")


def _bind(path: Path) -> socket.socket:
    bound = socket.socket(socket.AF_UNIX)
    try:
        path.unlink(missing_ok=True)
        bound.bind(os.fspath(path))
        # No client can connect before it listens, so none gets in before this.
        path.chmod(0o600)
    except OSError as error:
        bound.close()
        raise DataFolderError(
            f"the admin socket {path} cannot be made: {error.strerror or error};"
            " choose a data folder on a local disk"
        ) from error
    return bound


def _refusal(code: str, reason: str) -> bytes:
    error: dict[str, Any] = {"code": code, "reason": reason}
    return msgspec.json.encode({"error": error})
