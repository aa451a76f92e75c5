"""Encodes what a client is sent most: entries, ``sent`` replies and pages of history.

These are the bodies of messages, whatever a transport makes frames of.
"""

import msgspec

from chatd.core.chats import Page, Sending
from chatd.core.feed import Delivery
from chatd.protocol.entries import (
    Entry,
    encode_entry,
    encode_head,
    encode_place,
    encode_places,
    with_key,
)
from chatd.protocol.messages import Sent

_encode = msgspec.json.Encoder().encode

# Far enough below the 1 MiB of a frame for the members around the entries.
MAX_PAGE_BYTES = 1_000_000


def delivery_bodies(delivery: Delivery) -> list[bytes]:
    """Return the entries of a delivery, each without its head, which has the address.

    Made once, and kept in the delivery.
    """
    bodies = delivery.bodies
    if bodies is None:
        owner = delivery.repeat_key_of
        if owner is None:
            bodies = encode_places(delivery.entries)
        else:
            bodies = [
                encode_place(entry.seq, entry.prev, _tail_for(entry, owner))
                for entry in delivery.entries
            ]
        delivery.bodies = bodies
    return bodies


def _tail_for(entry: Entry, user: str) -> bytes:
    # A user's own entries have their keys.
    if entry.key is None or entry.sender != user:
        return entry.tail
    return with_key(entry.tail, entry.key)


class _PlainSent(msgspec.Struct, tag="sent", gc=False):
    # Without optional members, encoding it is faster than formatting bytes.
    re: int
    chat: str
    seq: int
    time: int


def sent_bodies(sendings: list[Sending]) -> list[bytes]:
    """Return a ``sent`` reply for each."""
    bodies: list[bytes] = []
    for sending in sendings:
        re = sending.request_id
        if re is None or sending.duplicate:
            message = Sent(
                re=re,
                chat=sending.address,
                seq=sending.seq,
                time=sending.time_ms,
                duplicate=sending.duplicate,
            )
            bodies.append(_encode(message))
        else:
            plain = _PlainSent(re, sending.address, sending.seq, sending.time_ms)
            bodies.append(_encode(plain))
    return bodies


def history_body(page: Page, user: str, *, from_newest: bool, re: int | None) -> bytes:
    """Return the body of a ``history`` reply, cut at the far end to fit a frame."""
    head = encode_head(page.address)
    bodies: list[bytes] = []
    size = 0
    more = page.more
    for entry in reversed(page.entries) if from_newest else page.entries:
        body = encode_entry(head, entry.seq, entry.prev, _tail_for(entry, user))
        size += len(body) + 1
        if size > MAX_PAGE_BYTES and bodies:
            more = True
            break
        bodies.append(body)
    if from_newest:
        bodies.reverse()
    return b'{"type":"history",%b"chat":%b,"messages":[%b],"more":%b}' % (
        b"" if re is None else b'"re":%d,' % re,
        _encode(page.address),
        b",".join(bodies),
        b"true" if more else b"false",
    )
