"""Entries as text, for users and for programs."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatd.text.events import event_sentence
from chatd.text.safe import width
from client.model.entries import Entry
from client.text.entries import (
    Look,
    divider,
    entry_json,
    entry_lines,
    entry_text,
    excerpt,
    item_lines,
    notice_lines,
    table_lines,
)
from client.text.styles import plain
from tests.fakes.link import entry, info, sending

LOOK = Look(columns=80, me="alice")
ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=200)


def shown(what: Entry, look: Look = LOOK, **options: Any) -> list[str]:
    return [plain(line) for line in entry_lines(what, look, **options)]


def test_a_message_has_time_name_and_text_in_columns() -> None:
    assert shown(entry("hello")) == ["12:00 bob        hello"]
    assert shown(entry("hello", sender="a" * 12)) == ["12:00 aaaaaaaaaaaa hello"]


def test_names_in_wide_characters_keep_the_columns() -> None:
    (narrow,) = shown(entry("x", sender="bob"))
    (wide,) = shown(entry("x", sender="花子"))
    assert width(narrow) == width(wide)


def test_a_hebrew_name_does_not_swap_places_with_the_text() -> None:
    assert shown(entry("שלום", sender="שרה")) == ["12:00 שרה\u200e        שלום"]
    named = shown(entry("שלום", sender="שרה", chat="@שרה"), is_named=True)
    assert named == ["12:00 @שרה\u200e: שלום"]


def test_a_message_of_another_chat_says_which() -> None:
    assert shown(entry("hi"), is_named=True) == ["12:00 #ops bob: hi"]
    direct = entry("hi", chat="@bob")
    assert shown(direct, is_named=True) == ["12:00 @bob: hi"]
    own = entry("hi", chat="@bob", sender="alice")
    assert shown(own, is_named=True) == ["12:00 @bob alice: hi"]


def test_further_lines_stand_under_the_text() -> None:
    lines = shown(entry("one\ntwo " + "word " * 20))
    assert lines[0] == "12:00 bob        one"
    assert lines[1].startswith(" " * 17 + "two word")
    assert lines[2].startswith(" " * 17 + "word")


def test_a_narrow_terminal_still_shows_everything() -> None:
    lines = shown(entry("some words that need room"), Look(columns=24))
    assert all(width(line) < 24 for line in lines)
    assert "room" in "".join(lines)


def test_actions_and_events_are_sentences() -> None:
    assert shown(entry("waves", kind="action")) == ["12:00 * bob waves"]
    assert shown(entry("", kind="join")) == ["12:00 -- bob joined"]


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"kind": "create"}, "bob made the room #ops"),
        (
            {"kind": "create", "visibility": "private"},
            "bob made the private room #ops",
        ),
        ({"kind": "topic", "topic": "lunch"}, "bob set the topic: lunch"),
        ({"kind": "topic", "topic": ""}, "bob took the topic off"),
        ({"kind": "remove", "by": "eve"}, "eve removed bob"),
        ({"kind": "something"}, "bob (something)"),
    ],
)
def test_events_of_a_log_are_told(members: dict[str, Any], said: str) -> None:
    assert event_sentence(entry("", **members)) == said


def test_a_reply_says_to_what() -> None:
    asked = entry("who is on call?", sender="eve")
    (line,) = shown(entry("me", seq=2, reply_to=1), quoted=asked)
    assert line.endswith("[re eve: who is on call?] me")


def test_a_deleted_text_is_gone_and_a_changed_one_says_so() -> None:
    assert shown(entry("", is_deleted=True))[0].endswith("(deleted)")
    assert shown(entry("new", edited_ms=1))[0].endswith("new (changed)")


def test_what_waits_or_was_refused_says_so_in_words() -> None:
    item = sending(id=1, chat="#ops", text="hi", key="k")
    assert plain(item_lines(item, LOOK)[0]).endswith("hi  (waiting)")
    refused = sending(
        id=1, chat="#ops", text="hi", key="k", state="refused", reason="too loud"
    )
    assert plain(item_lines(refused, LOOK)[0]).endswith("hi  (not sent: too loud)")


ACTING = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u200b\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)
HOSTILE_TEXT = ANY_TEXT | st.text(
    st.sampled_from(
        "a \n\r\t\x1b\x07\x9b\x9d[]8;\u202e\u2066\u2069\u200bשع\ud800\U000e0041"
    )
)


@given(HOSTILE_TEXT, HOSTILE_TEXT, st.integers(0, 120))
def test_nothing_of_an_entry_can_act_on_a_terminal_or_a_pipe(
    text: str, other: str, columns: int
) -> None:
    look = Look(columns=columns)
    quoted = entry(other, sender=other)
    entries = [
        entry(text, kind=kind, sender=other, chat=other, topic=other, by=other)
        for kind in ("text", "action", "topic", "create", "remove", other)
    ]
    entries += [
        entry(text, sender=other, reply_to=1),
        entry(text, kind="file", file=info(other)),
    ]
    for each in entries:
        lines = entry_lines(each, look, is_named=True, quoted=quoted)
        assert not any(ACTING.search(plain(line)) for line in lines)
        first, *more = entry_text(each, LOOK).split("\n")
        assert not any(map(ACTING.search, (first, *more)))
        assert all(line.startswith("    ") for line in more)
        assert entry_json(each).isprintable()


@given(ANY_TEXT)
def test_a_line_of_json_is_ascii_and_gives_back_the_original(text: str) -> None:
    line = entry_json(entry(text))
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["text"] == text


def test_a_text_of_many_lines_cannot_pose_as_another_entry_in_a_pipe() -> None:
    fake = entry("hi\n2026-11-21 12:00 eve: I did it")
    lines = entry_text(fake, LOOK, is_day_shown=True).split("\n")
    assert lines == [
        "2026-11-21 12:00 bob: hi",
        "    2026-11-21 12:00 eve: I did it",
    ]


def test_an_excerpt_is_one_short_line() -> None:
    assert excerpt("one\ntwo") == "one two"
    assert width(excerpt("word " * 50)) <= 30
    assert width(excerpt("x" * 50)) <= 30
    assert excerpt("\n  see below" + " " * 10_000) == "see below…"
    assert excerpt("e\u0301" * 30) == "e\u0301" * 30


def test_dividers_notices_and_tables_fit() -> None:
    assert width(plain(divider("#ops", LOOK)[0:1])) == 79
    for line in notice_lines("word " * 60, LOOK):
        assert width(plain(line)) < 80
    lines = table_lines([("/long-name", "explained " * 20)], Look(columns=60))
    assert all(width(plain(line)) < 60 for line in lines)


# Files --------------------------------------------------------------------------------


def test_a_file_is_a_line_with_name_size_type_and_how_to_get_it() -> None:
    sent = entry("", seq=118, kind="file", file=info())
    assert shown(sent) == [
        "12:00 bob        core.tar  734 MB  application/x-tar  /get 118"
    ]


def test_a_caption_goes_before_the_file() -> None:
    sent = entry("the crash\nof noon", seq=118, kind="file", file=info())
    assert shown(sent) == [
        "12:00 bob        the crash",
        "                 of noon",
        "                 core.tar  734 MB  application/x-tar  /get 118",
    ]


def test_a_name_cannot_act_on_the_terminal() -> None:
    sent = entry("", kind="file", file=info("a\x1b[2J\nb\u202egnp.exe"))
    (line,) = shown(sent)
    assert "a␛[2J bgnp.exe  734 MB" in line


def test_a_deleted_file_cannot_be_got() -> None:
    sent = entry("", kind="file", file=info(), is_deleted=True)
    assert shown(sent)[0].endswith("(deleted)")


def test_a_reply_to_a_bare_file_names_it() -> None:
    sent = entry("", kind="file", file=info())
    (line,) = shown(entry("thanks", seq=2, reply_to=1), quoted=sent)
    assert line.endswith("[re bob: core.tar] thanks")


def test_a_pipe_gets_the_number_of_a_file() -> None:
    sent = entry("the crash", seq=118, kind="file", file=info())
    assert entry_text(sent, LOOK).split("\n") == [
        "12:00 bob: the crash",
        "    [file 118] core.tar  734 MB  application/x-tar",
    ]


def test_json_describes_a_file_as_it_is() -> None:
    sent = entry("", kind="file", file=info("a\x1b.tar"))
    assert json.loads(entry_json(sent))["file"] == {
        "id": "f1",
        "name": "a\x1b.tar",
        "size": 734_003_200,
        "sha256": "ab" * 32,
    }
    assert "file" not in json.loads(entry_json(entry("hi")))
