"""Writes changes of the model to the cache; makes ``sync`` requests of what is held."""

from chatd.protocol.messages import Sync, encode_message
from client.model.changes import (
    Change,
    ChatAdded,
    ChatRemoved,
    ChatUpdated,
    EntriesAdded,
    EntryChanged,
    LoggedIn,
    Reset,
)
from client.model.entries import Entry
from client.model.model import Model
from client.storage.cache import Cache

# What a ``sync`` has around its chats, generously.
_FRAME_RESERVE_BYTES = 256


def keep_changes(cache: Cache, model: Model, changes: list[Change]) -> None:
    """Write to the cache what changed in the model, as one transaction."""
    begins = any(isinstance(change, Reset | LoggedIn) for change in changes)
    # Another process of the same user may have reset the cache already.
    if begins and cache.log() != model.log:
        cache.reset(model.log)
    entries: list[Entry] = []
    touched: dict[str, None] = {}
    removed: list[str] = []
    for change in changes:
        match change:
            case EntriesAdded() if change.origin != "cache":
                entries += change.entries
            case EntryChanged():
                entries.append(change.entry)
            case ChatRemoved():
                removed.append(change.chat)
            case ChatAdded() | ChatUpdated():
                touched[change.chat] = None
            case _:
                pass
    chats = [model.chats[address] for address in touched if address in model.chats]
    records = [chat.record for chat in chats if not chat.is_local]
    if entries or records or removed:
        cache.store(entries, records, removed)


def sync_requests(have: dict[str, int], max_body_bytes: int) -> list[Sync]:
    """Return the ``sync`` requests for ``have``, each small enough for a frame."""
    space = max_body_bytes - _FRAME_RESERVE_BYTES
    parts: list[dict[str, int]] = [{}]
    size = 0
    for chat, seq in have.items():
        needed = len(encode_message(Sync(have={chat: seq})))
        if size + needed > space:
            parts.append({})
            size = 0
        parts[-1][chat] = seq
        size += needed
    last = len(parts) - 1
    return [Sync(have=part, more=i < last) for i, part in enumerate(parts)]
