"""The client of the admin socket, and the same commands without a daemon.

The command line calls ``carry_out``: it asks the daemon if one runs, and else
opens the data folder itself, under its lock.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from chatd.accounts.accounts import Accounts
from chatd.accounts.settings import wall_clock_ms
from chatd.admin import commands
from chatd.admin.administration import Administration
from chatd.admin.checks import Checked, check_no_database, check_small, check_stored
from chatd.core.files.sweep import Sweeper
from chatd.protocol.errors import FrameError
from chatd.protocol.frames import FrameDecoder, encode_frame
from chatd.settings.config import Settings
from chatd.settings.data_folder import DataFolder, LockedError
from chatd.settings.tls import load_tls
from chatd.store.base import Store, StoreError
from chatd.store.disk import DiskBlobs
from chatd.store.open import open_store

# A long list of users is one reply.
MAX_REPLY_BYTES = 1 << 30
CONNECT_SECONDS = 10.0


class AdminError(Exception):
    """A command was refused or could not be delivered; the sentence says why."""


class NoDaemonError(AdminError):
    """No daemon listens at the admin socket."""


async def carry_out(settings: Settings, command: commands.AnyCommand) -> Any:
    """Carry out a command through the daemon, or without one; return its answer.

    Raises:
        AdminError: The daemon refused it, or does not answer.
        ChatError: It was refused without a daemon.
        BackupError: Likewise.
        DataFolderError: There is no daemon, and the folder cannot be used.
        StoreError: Likewise, of the database.
        DamagedTableError: Likewise, of the user table.
        TlsError: Likewise, of the key.
    """
    with contextlib.suppress(NoDaemonError):
        return await ask_daemon(settings.admin_socket, command)
    if isinstance(command, commands.Check):
        return msgspec.to_builtins(await check_without_daemon(settings))
    try:
        async with open_administration(settings) as administration:
            return await administration.carry_out(command)
    except LockedError as error:
        raise AdminError(
            f"{error}; if it has just been started or stopped, try again in a moment"
        ) from error


async def ask_daemon(path: Path, command: commands.AnyCommand) -> Any:
    """Send a command to the daemon and return its answer, however long it takes.

    Raises:
        NoDaemonError: No daemon listens there.
        AdminError: The daemon refused the command, or closed the connection.
    """
    reader, writer = await _connect(path)
    try:
        writer.write(encode_frame(msgspec.json.encode(command)))
        reply = msgspec.json.decode(await _read_body(reader))
    except (OSError, FrameError, msgspec.DecodeError) as error:
        raise AdminError(
            "the daemon hung up before it answered: see its log, and whether the"
            " command was carried out"
        ) from error
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    if "error" in reply:
        raise AdminError(reply["error"]["reason"])
    return reply["ok"]


@contextlib.asynccontextmanager
async def open_administration(settings: Settings) -> AsyncIterator[Administration]:
    """Open the data folder without a daemon, for the duration of the context."""
    async with contextlib.AsyncExitStack() as stack:
        folder = stack.enter_context(DataFolder.open(settings.data))
        tls = await asyncio.to_thread(load_tls, folder.path, settings.tls)
        store = await _open_store(stack, folder)
        blobs = await _open_blobs(stack, folder)
        accounts = await Accounts.open(folder.path, store, settings.accounts)
        stack.push_async_callback(accounts.close)
        yield Administration(
            folder.path,
            accounts,
            store,
            blobs,
            Sweeper(store, blobs, wall_clock_ms),
            settings,
            tls.fingerprint,
        )


async def check_without_daemon(settings: Settings) -> list[Checked]:
    """Check a data folder that no daemon uses, even if its stores cannot be opened."""
    if not settings.data.exists():
        return [Checked("data folder", "none yet: made at the first start", [])]
    async with contextlib.AsyncExitStack() as stack:
        folder = stack.enter_context(DataFolder.open(settings.data))
        checked = await asyncio.to_thread(check_small, folder.path, settings.tls)
        if not folder.database.exists():
            return [*checked, await asyncio.to_thread(check_no_database, folder.path)]
        try:
            store = await _open_store(stack, folder)
        except StoreError as error:
            return [*checked, Checked("database", str(folder.database), [str(error)])]
        try:
            blobs = await _open_blobs(stack, folder)
        except StoreError as error:
            return [*checked, Checked("files", str(folder.blobs), [str(error)])]
        sweeper = Sweeper(store, blobs, wall_clock_ms)
        return [*checked, *await check_stored(folder.path, store, blobs, sweeper)]


async def _open_store(stack: contextlib.AsyncExitStack, folder: DataFolder) -> Store:
    store = await open_store(folder.database)
    stack.push_async_callback(store.close)
    return store


async def _open_blobs(
    stack: contextlib.AsyncExitStack, folder: DataFolder
) -> DiskBlobs:
    blobs = await asyncio.to_thread(DiskBlobs, folder.blobs)
    stack.push_async_callback(blobs.close)
    return blobs


async def _connect(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            return await asyncio.open_unix_connection(os.fspath(path))
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as error:
        raise NoDaemonError(f"no daemon listens at {path}") from error
    except TimeoutError as error:
        raise AdminError(f"the daemon at {path} does not answer") from error
    except OSError as error:
        raise AdminError(
            f"the admin socket {path} cannot be used by user {os.geteuid()}:"
            f" {error.strerror}; run this as the user that runs chatd"
        ) from error


async def _read_body(reader: asyncio.StreamReader) -> bytes:
    decoder = FrameDecoder(MAX_REPLY_BYTES)
    chunks: list[bytes] = []
    while True:
        data = await reader.read(1 << 20)
        if not data:
            raise ConnectionResetError("end of stream")
        chunks = decoder.feed(data)
        if chunks:
            return chunks[0]
