"""Entries encoded as JSON: joined pieces equal an entry that is encoded at once."""

import json

from hypothesis import given
from hypothesis import strategies as st

from chatd.protocol.entries import (
    encode_entry,
    encode_head,
    encode_tail,
    encode_text,
    has_same_content,
    tail_time,
    with_key,
)
from chatd.protocol.messages import Message, parse_server_message

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
times = st.integers(0, 2**53 - 1)
seqs = st.integers(1, 2**53 - 1)


@given(texts, texts, times, texts, seqs, st.integers(0, 2**53 - 1))
def test_a_message_carries_what_went_into_its_pieces(
    chat: str, sender: str, time: int, text: str, seq: int, prev: int
) -> None:
    tail = encode_text(sender, "text", time, text)
    body = encode_entry(encode_head(chat), seq, prev, tail)
    assert json.loads(body) == {
        "type": "message",
        "chat": chat,
        "seq": seq,
        "prev": prev,
        "time": time,
        "from": sender,
        "kind": "text",
        "text": text,
    }
    assert body.startswith(b'{"type":"message"')


@given(texts, times, texts)
def test_the_client_parses_a_joined_message(sender: str, time: int, text: str) -> None:
    tail = encode_tail(sender, "action", time, {"text": text, "reply_to": 7})
    message = parse_server_message(encode_entry(encode_head("#ops"), 9, 8, tail))
    assert isinstance(message, Message)
    assert (message.from_, message.text, message.reply_to) == (sender, text, 7)


@given(texts, times, texts)
def test_text_and_general_form_are_the_same_bytes(
    sender: str, time: int, text: str
) -> None:
    general = encode_tail(sender, "text", time, {"text": text})
    assert encode_text(sender, "text", time, text) == general


@given(texts, times)
def test_a_tail_without_members_is_still_json(sender: str, time: int) -> None:
    body = encode_entry(
        encode_head("#ops"), 1, 0, encode_tail(sender, "join", time, {})
    )
    assert json.loads(body)["kind"] == "join"


@given(texts, times)
def test_the_time_of_a_tail_can_be_read_back(text: str, time: int) -> None:
    assert tail_time(encode_text("alice", "text", time, text)) == time


@given(times, times, texts, texts)
def test_content_is_the_same_whatever_the_time(
    one: int, other: int, text: str, different: str
) -> None:
    first = encode_text("alice", "text", one, text)
    assert has_same_content(first, encode_text("alice", "text", other, text))
    second = encode_text("alice", "text", one, different)
    assert has_same_content(first, second) == (text == different)


def test_content_differs_by_kind_sender_and_reply() -> None:
    base = encode_text("alice", "text", 1, "x")
    assert not has_same_content(base, encode_text("alice", "action", 1, "x"))
    assert not has_same_content(base, encode_text("bob", "text", 1, "x"))
    reply = encode_tail("alice", "text", 1, {"text": "x", "reply_to": 1})
    assert not has_same_content(base, reply)


@given(texts, texts)
def test_a_key_is_added_as_the_last_member(text: str, key: str) -> None:
    tail = with_key(encode_text("alice", "text", 5, text), key)
    found = json.loads(encode_entry(encode_head("@a"), 1, 0, tail))
    assert (found["text"], found["key"]) == (text, key)
    assert list(found)[-1] == "key"
