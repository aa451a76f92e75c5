"""Messages and other timeline items as rows: their text, width and style."""

import re
import unicodedata
from datetime import date
from typing import Any
from urllib.parse import quote

import pytest
import wcwidth
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.utils import get_cwidth

from chatd.protocol.messages import FileInfo
from chatd.text.safe import display
from client.model.entries import OutboxItem, Transfer
from client.terminal.hyperlinks import ESCAPE_STYLE
from client.text.styles import Line, colour_of, plain
from client.ui.messages.body import MAX_ROWS, SHOWN_ROWS
from client.ui.messages.rows import (
    ALONE,
    EntryContext,
    day_row,
    entry_rows,
    gap_row,
    item_rows,
    named_row,
    new_row,
    notice_rows,
    transfer_rows,
)
from client.ui.messages.rowstyle import RowStyle
from tests.fakes.link import NOON_MS, entry, sending

ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=80)
HARD_TEXT = st.text(
    st.sampled_from(
        "ab  1*`_>#@:\n\n\t"
        "‍️⃣👩👍🏽❤🇯🇵🏴\U000e0067\U000e007fक्षिीநிকৗกำ가각각ᄀ\u0301\u05bcשלام"
        "\u0600\u200b\u200c\u200e\u202e\u2028\x00\x07\x1b\x7f\x9b\x9d\u3164漢字、。ｶﾞﾞ\u200d\u094d\u0bcd\u102c\u17b6\xa0"
    ),
    max_size=120,
)
MARKED_TEXT = st.lists(
    st.sampled_from(
        [
            "**",
            "*",
            "_",
            "`",
            "```\n",
            "```python\n",
            "> ",
            "\n",
            " ",
            "word",
            "def f():",
        ]
        + ["@alice", "@bob", ":tada:", "https://a.b/c/" + "d" * 40, "漢字", "e\u0301"]
        + ["\x1b]0;title\x07", "\x1b[2J", "\u202e", "a" + "\u0301" * 100, "👩‍👩‍👧"]
    ),
    max_size=40,
).map("".join)
TEXTS = ANY_TEXT | HARD_TEXT | MARKED_TEXT
WIDTHS = st.integers(1, 130)
ACTING = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
FILE = FileInfo(id="f", name="core dump.tar.gz", size=2_345_678, sha256="")


def texts(rows: list[Line]) -> list[str]:
    return [plain([part for part in row if part[0] != ESCAPE_STYLE]) for row in rows]


def rows(text: str, width: int = 80, **members: Any) -> list[str]:
    """Return bob's entry as alice sees it, without trailing blanks."""
    style = RowStyle(width=width, me="alice")
    around = members.pop("around", ALONE)
    found = entry_rows(entry(text, **members), style, around)
    return [row.rstrip() for row in texts(found)]


def letters(text: str) -> str:
    """Return what must not be lost: all but marks and combining characters."""
    return "".join(
        char
        for char in display(text, is_multiline=True)
        if unicodedata.category(char)[0] not in "MC"
        and len(list(wcwidth.iter_graphemes(f"a{char}"))) == 2
        and not char.isspace()
        and char not in "*_`~>◌"
    )


def is_within(wanted: str, text: str) -> bool:
    rest = iter(text)
    return all(char in rest for char in wanted)


# Width --------------------------------------------------------------------------------


def check(found: list[Line], width: int) -> None:
    """Check that rows fit the window by either measure of width, and are harmless."""
    assert found
    for text in texts(found):
        assert get_cwidth(text) == wcwidth.width(text) <= max(1, width - 1)
        assert not ACTING.search(text)


@given(
    TEXTS, TEXTS, WIDTHS, st.booleans(), st.sampled_from(["text", "action", "topic"])
)
def test_no_row_of_an_entry_is_wider_than_the_window_less_one(
    text: str, sender: str, width: int, bare: bool, kind: str
) -> None:
    style = RowStyle(width=width, me="alice", is_bare=bare, osc8=True, highlight="a")
    quoted = entry(text, 2, sender)
    found = entry(text, 7, sender, kind=kind, reply_to=2, edited_ms=5, topic=text)
    around = EntryContext(quoted=quoted, is_read=True, is_unfolded=True)
    check(entry_rows(found, style, around), width)
    check(
        entry_rows(found, style, EntryContext(is_continued=True, is_timed=False)), width
    )


@given(TEXTS, TEXTS, WIDTHS, st.booleans())
def test_no_row_of_anything_else_is_wider_either(
    text: str, name: str, width: int, bare: bool
) -> None:
    style = RowStyle(width=width, me="alice", is_bare=bare, today=date(2026, 11, 21))
    info = FileInfo(id="f", name=name, size=9, sha256="")
    moving = transfer(name=name, chat=text)
    around = EntryContext(transfer=moving)
    check(entry_rows(entry(text, kind="file", file=info), style, around), width)
    for state in ("waiting", "refused", "sent"):
        check(item_rows(item(text, state=state, reason=name), style), width)
    check(transfer_rows(moving, style), width)
    check(transfer_rows(transfer(state="failed", reason=text), style), width)
    check(notice_rows([("a", text), ("b", name)], style), width)
    check([day_row(NOON_MS, style), new_row(3, style), gap_row(style)], width)


@given(HARD_TEXT | MARKED_TEXT, st.integers(12, 130), st.booleans())
def test_no_letter_of_a_message_is_lost(text: str, width: int, bare: bool) -> None:
    style = RowStyle(width=width, me="alice", is_bare=bare)
    fences = [line for line in text.split("\n") if "```" in line]
    around = EntryContext(is_unfolded=True)
    found = "".join(texts(entry_rows(entry(text), style, around)))
    if not fences:
        assert is_within(letters(text), found)


@given(TEXTS, st.integers(30, 130))
def test_a_name_above_what_is_seen_changes_no_width(name: str, width: int) -> None:
    style = RowStyle(width=width, osc8=True)
    text = "see https://a.b/c and then much else that takes more than one row " * 2
    found = entry_rows(entry(text), style, EntryContext(is_continued=True))
    for row, line in zip(
        found, [named_row(row, name, style) for row in found], strict=True
    ):
        check([line], width)
        (before,), (after,) = texts([row]), texts([line])
        assert after.endswith(before.lstrip()[7:].lstrip())


# Text ---------------------------------------------------------------------------------


def test_a_message_stands_beside_its_time_and_sender() -> None:
    assert rows("one two three " * 4, 60) == [
        "  12:00 bob        one two three one two three one two",
        "                   three one two three",
    ]


def test_what_continues_says_no_name_and_perhaps_no_time() -> None:
    assert rows("hi", around=EntryContext(is_continued=True)) == [
        "  12:00            hi"
    ]
    around = EntryContext(is_continued=True, is_timed=False)
    assert rows("hi", around=around) == ["                   hi"]


def test_in_a_narrow_window_the_text_is_below_the_name() -> None:
    assert rows("one two three four five", 24) == [
        "  12:00 bob",
        "    one two three four",
        "    five",
    ]
    assert rows("hi", 24, around=EntryContext(is_continued=True)) == ["    hi"]


def test_a_long_name_moves_the_text_aside_and_is_never_cut_short() -> None:
    name = "a-name-of-thirty-two-characters-"
    assert rows("hi", sender=name) == [f"  12:00 {name} hi"]
    assert rows("hi", 50, sender=name)[0] == f"  12:00 {name}"


def test_a_hebrew_name_does_not_swap_places_with_the_text() -> None:
    assert rows("שלום", sender="שרה")[0].startswith("  12:00 שרה\u200e ")


def test_who_does_something_is_named_in_the_text() -> None:
    assert rows("waves", kind="action") == ["  12:00 *          bob waves"]
    assert rows("waves at all", 24, kind="action") == [
        "  12:00 * bob waves at",
        "    all",
    ]


def test_an_event_is_a_sentence() -> None:
    assert rows("", kind="join") == ["  12:00 --         bob joined"]


def test_a_reply_says_to_what() -> None:
    quoted = entry("disk on lab3 is full", 3, "carol")
    assert rows("yes", reply_to=3, around=EntryContext(quoted=quoted)) == [
        "  12:00 bob        re carol: disk on lab3 is full",
        "                   yes",
    ]
    assert rows("yes", reply_to=3)[0].endswith("re an earlier message")


def test_what_was_deleted_or_changed_says_so() -> None:
    assert rows("", is_deleted=True) == ["  12:00 bob        (deleted)"]
    assert rows("now", edited_ms=1) == ["  12:00 bob        now  (changed)"]


def test_a_remark_that_does_not_fit_goes_below() -> None:
    text = "x" * 55
    assert rows(text, edited_ms=1)[1:] == [" " * 19 + "(changed)"]


def test_a_file_says_its_size_and_how_to_get_it() -> None:
    about = "core dump.tar.gz  2.3 MB  application/gzip  /get 5"
    assert rows("", seq=5, kind="file", file=FILE) == [f"  12:00 bob        {about}"]
    with_caption = rows("look", seq=5, kind="file", file=FILE)
    assert with_caption[1:] == ["                   look"]


def test_a_file_on_the_way_here_shows_how_far_it_is() -> None:
    around = EntryContext(transfer=transfer(direction="down"))
    assert "33 %" in rows("", kind="file", file=FILE, around=around)[1]
    lost = transfer(direction="down", state="failed", reason="no room")
    found = rows("", kind="file", file=FILE, around=EntryContext(transfer=lost))
    assert found[1].endswith("was not fetched: no room")


def test_a_message_with_ones_name_in_it_has_a_sign() -> None:
    assert rows("ask alice")[0].startswith("! 12:00")
    assert rows("ask @Alice")[0].startswith("! 12:00")
    assert rows("ask malice")[0].startswith("  12:00")
    assert rows("I, alice", sender="alice")[0].startswith("  12:00")


def test_what_waits_or_was_refused_has_a_sign_and_a_reason() -> None:
    style = RowStyle(width=80, me="alice")
    waiting = texts(item_rows(item("hi"), style))
    assert waiting == ["~ 12:00 alice      hi"]
    refused = texts(
        item_rows(item("hi", state="refused", reason="you are muted"), style)
    )
    assert refused[0] == "x 12:00 alice      hi"
    assert refused[1].strip() == "(not sent: you are muted; /retry or /discard)"
    assert texts(item_rows(item("hi", state="sent"), style))[0][0] == " "


def test_a_message_that_the_other_has_read_says_so() -> None:
    assert rows("hi", around=EntryContext(is_read=True))[0].endswith("hi  (read)")


def test_a_file_that_is_being_sent_shows_how_far_it_is() -> None:
    style = RowStyle(width=100, me="alice")
    found = texts(transfer_rows(transfer(name="a.bin"), style))
    assert found[0].startswith("~       alice      a.bin to #ops  [")
    assert "33 %" in found[0]


def test_code_and_quotes_have_a_bar() -> None:
    text = "> so\nno\n```python\nx = 1\n```"
    assert [row[19:] for row in rows(text)] == ["│ so", "no", "│ x = 1"]


@pytest.mark.parametrize(
    "text", ["```\n```", "```py\n```\n~~~\n~~~", "> ", "\n", "``` \n```\n"]
)
@pytest.mark.parametrize("bare", [False, True])
def test_a_block_with_nothing_in_it_has_a_row_still(text: str, bare: bool) -> None:
    style = RowStyle(width=80, is_bare=bare)
    assert entry_rows(entry(text), style)
    assert entry_rows(entry(text, kind="action", reply_to=1), style)


def test_bare_rows_are_only_the_text_as_it_was_written() -> None:
    style = RowStyle(width=40, me="alice", is_bare=True)
    found = entry_rows(entry("**see** alice:\n```\nx\n```"), style)
    assert [plain(row) for row in found] == ["**see** alice:", "```", "x", "```"]
    assert {part for row in found for part, _ in row} == {""}


def test_a_long_link_that_fits_into_a_row_is_whole() -> None:
    link = "https://example.org/" + "x" * 38
    assert f"                   {link}" in rows(f"look at this: {link}", 80)


# Style --------------------------------------------------------------------------------


def styles(text: str, style: RowStyle | None = None, **members: Any) -> dict[str, str]:
    """Return the style of each piece of an entry."""
    style = style or RowStyle(width=80, me="alice")
    found = entry_rows(entry(text, **members), style)
    return {part: name for row in found for name, part in row}


def test_marks_become_styles() -> None:
    found = styles("**b** *i* `c` @carol https://a.b")
    assert found["b"] == "class:strong"
    assert found["i"] == "class:emphasis"
    assert found["c"] == "class:code"
    assert found["@carol"].startswith("class:at fg:#")
    assert found["https://a.b"] == "class:link"


def test_ones_own_name_is_marked_within_a_text_for_oneself() -> None:
    found = styles("see alice, **now**")
    assert found["alice"] == "class:mention class:at.me"
    assert found["now"] == "class:mention class:strong"
    assert found["!"] == "class:mention"


def test_a_word_that_is_looked_for_is_marked_also_across_marks() -> None:
    style = RowStyle(width=80, highlight="the Disk")
    found = styles("is the **disk** full", style)
    assert found["the "] == "class:match"
    assert found["disk"] == "class:strong class:match"
    assert found["is "] == ""


def test_a_link_that_is_marked_in_part_still_knows_its_target() -> None:
    style = RowStyle(width=80, highlight="grafana", osc8=True)
    found = entry_rows(entry("https://grafana.lab/x"), style)
    escapes = [text for name, text in found[0] if name == ESCAPE_STYLE]
    assert len(escapes) == len("https://grafana.lab/x")
    assert all("https://grafana.lab/x" in escape for escape in escapes)


LINKS = [
    (
        "https://hi.wikipedia.org/wiki/हिन्दी",
        "https://hi.wikipedia.org/wiki/" + quote("हिन्दी"),
    ),
    ("https://a.b/'x'(1);y=%20%C3%A9", "https://a.b/'x'(1);y=%20%C3%A9"),
    ("chat://a.b/?pin=x#ops", "chat://a.b/?pin=x#ops"),
    ('https://a.b/"onclick', "https://a.b/"),
    ("https://a.b/\x1b]8;;x", "https://a.b/%E2%90%9B]8;;x"),
    ("https://a.b/\u202e\u200b\U000e0041x", "https://a.b/x"),
]


@pytest.mark.parametrize(("text", "target"), LINKS)
def test_a_link_leads_where_its_writer_said(text: str, target: str) -> None:
    found = entry_rows(entry(f"see {text}"), RowStyle(width=120, osc8=True))
    escapes = [text for name, text in found[0] if name == ESCAPE_STYLE]
    assert {re.sub("^[^;]*;[^;]*;", "", each)[:-2] for each in escapes} == {target}


@pytest.mark.parametrize(
    "text", ["javascript:alert(1)", "file:///etc/passwd", "JavaScript://a.b", "data:,x"]
)
def test_only_what_is_on_the_net_is_a_link(text: str) -> None:
    found = entry_rows(entry(f"see {text} now"), RowStyle(width=120, osc8=True))
    assert not [name for row in found for name, _ in row if name == ESCAPE_STYLE]


def test_names_with_vowel_signs_are_mentions_and_have_one_colour() -> None:
    colour = colour_of("अनीता")
    found = styles("x", RowStyle(width=80), sender="अनीता")
    assert found["अ"] == f"class:name {colour}"
    found = styles("@अनीता", RowStyle(width=80))
    assert found["@"] == found["अ"] == f"class:at {colour}"
    assert found[display("नी")].startswith(f"class:at {colour} ")


def test_a_letter_is_painted_anew_if_its_sign_is_another() -> None:
    (one,) = entry_rows(entry("कीx"), RowStyle(width=80))
    (two,) = entry_rows(entry("काx"), RowStyle(width=80))
    (three,) = entry_rows(entry("गीx"), RowStyle(width=80))
    letters = {row[-2][0] for row in (one, two, three)}
    assert len(letters) == 3
    assert plain(one[-2:]) == display("की") + "x"
    assert one[-1] == two[-1]


def test_a_blank_that_is_not_broken_at_looks_like_others() -> None:
    assert rows("oui\xa0!", 30)[-1].endswith("oui !")
    assert rows(f"{'x' * 20} oui\xa0!", 30)[-1].strip() == "oui !"


def test_shortcodes_that_are_known_become_emoji() -> None:
    style = RowStyle(width=80, emoji={"tada": "🎉"}.get)
    assert (
        "nice 🎉 :nosuch:" in texts(entry_rows(entry("nice :tada: :nosuch:"), style))[0]
    )


# Long messages ------------------------------------------------------------------------


def test_a_very_long_message_is_folded() -> None:
    text = "\n".join(f"line {number}" for number in range(10_000))
    found = rows(text)
    assert len(found) == SHOWN_ROWS + 1
    assert found[9].endswith("line 9")
    assert found[10].strip() == "… 9,990 more lines (Alt+M, then Enter shows all)"


def test_a_message_of_as_many_rows_as_allowed_is_whole() -> None:
    assert len(rows("x\n" * MAX_ROWS)) == MAX_ROWS
    assert len(rows("x\n" * (MAX_ROWS + 1))) == SHOWN_ROWS + 1


def test_one_endless_line_is_folded_and_its_rows_are_counted() -> None:
    found = rows("word " * 3_000)
    assert found[10].strip().startswith("… 240 more lines")


def test_an_unfolded_message_is_all_there() -> None:
    text = "\n".join(f"line {number}" for number in range(10_000))
    assert len(rows(text, around=EntryContext(is_unfolded=True))) == 10_000


def test_a_very_long_event_is_folded_too() -> None:
    found = rows("", kind="topic", topic="word " * 1_000)
    assert len(found) == SHOWN_ROWS + 1
    assert "more lines" in found[-1]


@given(st.integers(1, 60), st.integers(1, 90))
def test_folding_hides_nothing_that_is_not_counted(lines: int, size: int) -> None:
    found = rows("\n".join(["x" * size] * lines), 80)
    whole = rows(
        "\n".join(["x" * size] * lines), 80, around=EntryContext(is_unfolded=True)
    )
    if len(whole) <= MAX_ROWS:
        assert found == whole
    else:
        assert f"… {len(whole) - SHOWN_ROWS} more lines" in found[-1]


# Dividers -----------------------------------------------------------------------------


def test_the_day_is_named_as_people_would() -> None:
    style = RowStyle(width=60, today=date(2026, 11, 21))
    assert plain(day_row(NOON_MS, style)).startswith("── Today, Saturday, 21 November")
    style = RowStyle(width=60, today=date(2026, 11, 22))
    assert plain(day_row(NOON_MS, style)).startswith("── Yesterday, Saturday")
    style = RowStyle(width=60, today=date(2026, 11, 29))
    assert plain(day_row(NOON_MS, style)).startswith("── Saturday, 21 November 2026 ──")


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "── new ─"), (3, "── new (3) ─"), (1_000, "── new (1,000+) ─")],
)
def test_the_line_before_the_new_says_how_many(count: int, text: str) -> None:
    assert plain(new_row(count, RowStyle(width=40))).startswith(text)


def test_a_notice_keeps_its_columns_where_it_fits() -> None:
    line = [("", "  /join #room    "), ("class:notice", "enter one of the rooms")]
    assert notice_rows(line, RowStyle(width=60)) == [line]
    assert texts(notice_rows(line, RowStyle(width=30))) == [
        "  /join #room    enter",
        "     one of the rooms",
    ]


def item(text: str, **members: Any) -> OutboxItem:
    given: dict[str, Any] = {"id": 1, "chat": "#ops", "key": "k", "created_ms": NOON_MS}
    return sending(text=text, **(given | members))


def transfer(**members: Any) -> Transfer:
    given: dict[str, Any] = {
        "id": 1,
        "direction": "up",
        "state": "moving",
        "chat": "#ops",
        "name": "a.bin",
        "size": 3_000,
        "moved": 1_000,
        "rate": 500.0,
    }
    return Transfer(**(given | members))
