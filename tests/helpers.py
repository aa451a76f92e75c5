"""Helpers that many tests share: files, logins, waiting, a full disk."""

import asyncio
import contextlib
import hashlib
import itertools
import os
import secrets
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import PATIENCE
from tests.fakes.raw_client import DataLine, Json, Place, RawClient, RefusedError


def sha256_of(data: bytes) -> str:
    """Return the SHA-256 in the form of the protocol."""
    return hashlib.sha256(data).hexdigest()


def upload_of(chat: str, data: bytes, name: str = "a.bin", **members: object) -> Json:
    """Return the fields of an ``upload`` of these bytes, with a key of its own."""
    return {
        "chat": chat,
        "name": name,
        "size": len(data),
        "sha256": sha256_of(data),
        "key": secrets.token_urlsafe(16),
        **members,
    }


async def put_file(
    client: RawClient,
    address: Place,
    chat: str,
    data: bytes,
    name: str = "a.bin",
    **members: object,
) -> Json:
    """Upload a whole file and return ``stored``.

    Raises:
        RefusedError: It was refused, before or after the bytes.
    """
    answer = await client.ask("upload", **upload_of(chat, data, name, **members))
    return await send_rest(address, answer["ticket"], data)


async def send_rest(
    address: Place, ticket: str, data: bytes, tls: ssl.SSLContext | None = None
) -> Json:
    """Send the rest of an upload and return ``stored``.

    Raises:
        RefusedError: It was refused.
    """
    async with await DataLine.begin(address, ticket, tls) as line:
        line.send(data[line.answer["offset"] :])
        answer = await line.message()
        if answer["type"] == "error":
            raise RefusedError(answer)
        assert answer["type"] == "stored"
        return answer


async def ticket_at(client: RawClient, request: Json, wanted: int) -> str:
    """Wait until so much of an upload has arrived; return a ticket to resume it."""
    while True:
        answer = await client.ask("upload", **request)
        if answer["offset"] == wanted:
            ticket: str = answer["ticket"]
            return ticket


async def get_file(
    client: RawClient,
    address: Place,
    file: str,
    offset: int = 0,
    tls: ssl.SSLContext | None = None,
) -> bytes:
    """Download a file from an offset on and return those bytes.

    Raises:
        RefusedError: It was refused.
    """
    answer = await client.ask("download", file=file, offset=offset)
    async with await DataLine.begin(address, answer["ticket"], tls) as line:
        assert line.answer["offset"] == offset
        assert line.answer["size"] == answer["size"]
        return await line.rest()


_numbers = itertools.count()


def fresh_name(prefix: str = "u") -> str:
    """Return a user or room name that was not used yet."""
    return f"{prefix}{next(_numbers)}"


def texts(messages: list[Json]) -> list[str]:
    """Return the texts of those messages that are text."""
    return [m["text"] for m in messages if m.get("kind") == "text"]


@contextlib.asynccontextmanager
async def logged_in(
    address: Place, *users: str, **members: Any
) -> AsyncIterator[list[RawClient]]:
    """Register users and log each of them in over a connection of its own."""
    clients: list[RawClient] = []
    try:
        for user in users:
            client = await RawClient.connect(address)
            clients.append(client)
            await client.expect("hello")
            await client.register(user)
            await client.login(user, **members)
        yield clients
    finally:
        for client in clients:
            await client.close()


async def eventually(
    is_so: Callable[[], bool], what: str, progress: Callable[[], str] | None = None
) -> None:
    """Poll for a condition outside of this process that nothing notifies about.

    Args:
        is_so: The condition.
        what: For the error.
        progress: Returns a description of the state; as long as that changes there is
            no hurry. It is for work that takes as long as the machine is slow.

    Raises:
        TimeoutError: It did not become true.
    """
    state = progress() if progress is not None else ""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        now = progress() if progress is not None else ""
        if now != state:
            state, deadline = now, time.monotonic() + PATIENCE
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} {state}")
        await asyncio.sleep(0.02)


@contextlib.contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[Path]:
    """Mount an empty file system of a few megabytes; skips where that is forbidden."""
    folder.mkdir()
    options = f"size={mebibytes}m,mode=0700"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", os.fspath(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a small disk: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", os.fspath(folder)], check=True)


def fill_up(path: Path) -> None:
    """Write zeros to a file until its disk is full."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"\0" * 4096) == 4096:
            pass
