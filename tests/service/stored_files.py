"""Builds files in a data folder, without a daemon and without its rules."""

import itertools

from chatd.protocol.entries import Draft, encode_tail
from chatd.protocol.messages import FileInfo
from chatd.store.base import Store
from chatd.store.blobs import Blobs
from chatd.store.commands import BeginFile, OpenDirect
from chatd.store.values import FileRecord, SealFile
from tests.helpers import sha256_of

TIME_MS = 1_790_000_000_000

_numbers = itertools.count()


async def begin_upload(
    store: Store, blobs: Blobs, content: bytes, name: str = "core.tar"
) -> FileRecord:
    """Begin an upload of alice to bob; all bytes arrive, but it is not stored."""
    number = next(_numbers)
    chat = await store.execute(OpenDirect("alice", "bob"))
    record = FileRecord(
        id=f"file{number}",
        chat=chat.id,
        owner="alice",
        key=f"key{number}",
        name=name,
        size=len(content),
        sha256=sha256_of(content),
        time_ms=TIME_MS,
    )
    await store.execute(BeginFile(record, 1_000))
    receiving = await blobs.receive(record.id)
    await receiving.write(content)
    await receiving.close()
    return record


async def store_file(
    store: Store, blobs: Blobs, content: bytes, name: str = "core.tar"
) -> FileRecord:
    """Store a file of alice in the chat with bob; return its record."""
    record = await begin_upload(store, blobs, content, name)
    info = FileInfo(id=record.id, name=name, size=record.size, sha256=record.sha256)
    tail = encode_tail("alice", "file", TIME_MS, {"file": info})
    draft = Draft("alice", "file", TIME_MS, tail, record.key)
    async with blobs.lock(record.sha256):
        assert await blobs.seal(record.id, record.size, record.sha256)
        await store.append(record.chat, draft, SealFile(record.id))
    await blobs.discard(record.id)
    stored = await store.find_file(record.id)
    assert stored is not None
    return stored
