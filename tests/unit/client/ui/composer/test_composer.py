"""The composer: editing keys, replies, input history, and submitting."""

from pathlib import Path

import pytest

from client.storage.paths import Paths
from client.ui.composer import emoji
from tests.fakes.link import entry
from tests.helpers import eventually
from tests.unit.client.ui.composer.composing import stage

ALT_ENTER = "\x1b\r"
ESC = "\x1b"
CTRL_UP = "\x1b[1;5A"
CTRL_DOWN = "\x1b[1;5B"


async def test_enter_sends_what_is_typed_and_empties_the_composer() -> None:
    async with stage() as at:
        await at.type("hello all\r")
        assert at.submitted == [("hello all", None)]
        assert at.composer.is_empty


@pytest.mark.parametrize("newline", [ALT_ENTER, "\n"])
async def test_a_new_line_is_not_sent(newline: str) -> None:
    async with stage() as at:
        await at.type(f"one{newline}two")
        assert at.text == "one\ntwo"
        assert at.submitted == []
        await at.type("\r")
        assert at.submitted == [("one\ntwo", None)]


async def test_blanks_alone_are_not_sent() -> None:
    async with stage() as at:
        await at.type("  \n \r")
        assert at.submitted == []


@pytest.mark.parametrize("text", ["/me waves", "//etc/passwd", "#general", "/nonsense"])
async def test_commands_are_handed_over_as_they_were_typed(text: str) -> None:
    async with stage() as at:
        await at.type(f"{text}\r")
        assert at.submitted == [(text, None)]


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("done :tada:", "done 🎉"),
        ("/me is :+1:", "/me is 👍"),
        ("/msg @bob :tada: `:tada:`", "/msg @bob 🎉 `:tada:`"),
        ("/send :tada:", "/send :tada:"),
        ("at 10:30:45", "at 10:30:45"),
    ],
)
async def test_shortcodes_become_emoji_when_they_are_sent(
    typed: str, sent: str
) -> None:
    async with stage() as at:
        await at.type(f"{typed} \r")
        assert at.submitted == [(sent, None)]


async def test_typing_is_told_but_not_for_commands() -> None:
    async with stage() as at:
        await at.type("/j")
        assert at.link.typed_in == []
        await at.type("\x7f\x7fhi")
        assert set(at.link.typed_in) == {"#ops"}


async def test_bytes_that_are_no_text_do_not_stop_a_message() -> None:
    async with stage() as at:
        at.composer.insert("caf\udce9")
        await at.type("\r")
        assert at.submitted == [("caf�", None)]


# Replying -----------------------------------------------------------------------------


async def test_a_reply_is_shown_and_sent_once() -> None:
    async with stage() as at:
        at.composer.reply_to = entry("disk on lab3 is full", 7)
        shown = "re bob: disk on lab3 is full".ljust(68)
        assert at.frame()[-2] == f"{shown}Esc ends it"
        await at.type("looking\rand again\r")
        assert at.submitted == [("looking", 7), ("and again", None)]


async def test_escape_ends_a_reply_and_leaves_the_text() -> None:
    async with stage() as at:
        at.composer.reply_to = entry("disk", 7)
        await at.type(f"no{ESC}")
        assert not at.is_replying
        await at.type("pe\r")
        assert at.submitted == [("nope", None)]


async def test_an_action_can_be_a_reply_and_a_command_does_not_use_it_up() -> None:
    async with stage() as at:
        at.composer.reply_to = entry("disk", 7)
        await at.type("/names\r/me looks\r")
        assert at.submitted == [("/names", None), ("/me looks", 7)]


async def test_each_chat_has_its_own_reply_text_and_cursor() -> None:
    async with stage() as at:
        at.composer.reply_to = entry("disk", 7)
        await at.type("half\x1b[D\x1b[D")
        at.composer.open("@bob")
        assert not at.is_replying
        assert at.text == ""
        at.composer.open("#ops")
        await at.type("X")
        assert at.text == "haXlf"
        assert at.is_replying


# Input history ------------------------------------------------------------------------


async def test_ctrl_up_and_down_go_through_what_was_sent_in_this_chat() -> None:
    async with stage() as at:
        await at.type("one\rtwo\r")
        at.composer.open("@bob")
        await at.type(f"other\r{CTRL_UP}{CTRL_UP}")
        assert at.text == "other"
        await at.type("\x15")
        at.composer.open("#ops")
        await at.type(f"unsent{CTRL_UP}")
        assert at.text == "two"
        await at.type(CTRL_UP)
        assert at.text == "one"
        await at.type(f"{CTRL_UP}{CTRL_DOWN}{CTRL_DOWN}{CTRL_DOWN}")
        assert at.text == "unsent"


async def test_what_is_emptied_by_ctrl_c_can_be_had_back() -> None:
    async with stage() as at:
        await at.type(f"half a thought\x03{CTRL_UP}")
        assert at.text == "half a thought"
        assert at.submitted == []


async def test_up_in_an_empty_composer_does_nothing() -> None:
    async with stage() as at:
        await at.type("one\r\x1b[A\x1b[A")
        assert at.text == ""


async def test_drafts_and_what_was_typed_outlive_the_program(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        await at.type("sent\rhalf")
        at.composer.open("@bob")
        await at.type("to bob")
    async with stage(tmp_path) as at:
        assert at.text == "half"
        await at.type(CTRL_UP)
        assert at.text == "sent"
        at.composer.open("@bob")
        assert at.text == "to bob"


async def test_what_was_sent_is_no_draft_any_more(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        await at.type("half\r")
    async with stage(tmp_path) as at:
        assert at.text == ""


# On the screen ------------------------------------------------------------------------


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (60, 15), (120, 40)])
async def test_it_grows_from_one_row_to_eight(columns: int, rows: int) -> None:
    async with stage(columns=columns, rows=rows) as at:
        frame = at.frame()
        assert frame[-1] == "> message to #ops"
        assert frame[-2] == "-" * columns
        assert at.cursor == (rows - 1, 2)
        for count in range(1, 11):
            await at.type(f"row {count}\n")
            height = min(8, count + 1)
            assert at.composer.height() == height
            assert at.frame()[-1 - height] == "-" * columns
        assert at.frame()[-8:] == ["> row 4", *(f"  row {n}" for n in range(5, 11)), ""]
        assert at.cursor == (rows - 1, 2)


async def test_a_long_line_is_wrapped() -> None:
    async with stage(columns=60, rows=15) as at:
        await at.type("x" * 100)
        assert at.composer.height() == 2
        assert at.frame()[-2:] == ["> " + "x" * 58, "  " + "x" * 42]


async def test_what_is_typed_is_shown_in_a_form_of_one_width() -> None:
    async with stage() as at:
        at.composer.insert("a👩‍👩‍👧b🇯🇵c❤️d\te\x1b[2J")
        assert at.frame()[-1] == "> a👩👩👧b[JP]c❤d    e␛[2J"
        assert at.cursor == (23, 2 + 1 + 6 + 1 + 4 + 1 + 1 + 1 + 4 + 1 + 4)
        await at.type("\r")
        assert at.submitted == [("a👩‍👩‍👧b🇯🇵c❤️d\te\x1b[2J", None)]


async def test_a_key_takes_a_whole_emoji() -> None:
    async with stage() as at:
        at.composer.insert("a👩‍👩‍👧b")
        await at.type("\x1b[D\x7f")
        assert at.text == "ab"
        at.composer.insert("🇯🇵")
        await at.type("\x1b[D\x1b[D\x1b[C\x1b[3~")
        assert at.text == "ab"


async def test_steps_to_be_undone_do_not_fill_the_memory() -> None:
    async with stage() as at:
        at.composer.insert("x" * 100_000)
        await at.type("y " * 60)
        kept = [len(text) for text, _ in at.composer.buffer._undo_stack]
        assert len(kept) > 10
        assert sum(kept) <= 4_000_000
        await at.type("\x1f")
        assert len(at.text) < 100_120


async def test_a_colon_has_the_table_of_emoji_read_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(emoji, "_table", None)
    async with stage() as at:
        await at.paste("see :tada:")
        await eventually(emoji.is_loaded, "the table")
        await at.type("\r")
        assert at.submitted == [("see 🎉", None)]


async def test_files_in_the_home_of_the_client_are_private(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        await at.type("sent\rhalf")
    state = Paths.under(tmp_path).state
    files = list(state.rglob("*.json"))
    assert sorted(path.parent.name for path in files) == ["drafts", "typed"]
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in files)


# Readline keys ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ("\x01X", "one two\nXthree four"),  # Ctrl+A: the beginning of the line
        ("\x01\x05X", "one two\nthree fourX"),  # Ctrl+E: its end
        ("\x1b[HX", "one two\nXthree four"),  # Home
        ("\x1bbX", "one two\nthree Xfour"),  # Alt+B: a word back
        ("\x1bb\x1bb\x1bfX", "one two\nthreeX four"),  # Alt+F: a word on
        ("\x1b[1;5DX", "one two\nthree Xfour"),  # Ctrl+Left
        ("\x17", "one two\nthree "),  # Ctrl+W: kill the word before
        ("\x1b\x7f", "one two\nthree "),  # Alt+Backspace
        ("\x1bb\x1bd", "one two\nthree "),  # Alt+D: kill the word after
        ("\x15", "one two\n"),  # Ctrl+U: kill to the start of the line
        ("\x17\x17\x19\x19", "one two\nthree fourthree four"),  # Ctrl+Y: yank
        ("\x15\x19", "one two\nthree four"),
        ("\x14", "one two\nthree foru"),  # Ctrl+T: transpose
        ("\x1bb\x1bu", "one two\nthree FOUR"),  # Alt+U, where it is no action
        ("\x1bb\x1bc", "one two\nthree Four"),  # Alt+C: a capital
        ("\x17\x1f", "one two\nthree four"),  # Ctrl+_: undo
        ("\x1b[A\x1b[AX", "one twoX\nthree four"),  # Up: as far as there are lines
        ("\x00\x1bb\x17", "one two\nthree "),  # Ctrl+Space: a mark; kill up to it
    ],
)
async def test_the_keys_of_shells_do_what_they_do_there(keys: str, text: str) -> None:
    async with stage() as at:
        at.composer.insert("one two\nthree four")
        await at.type(keys)
        assert at.text == text


@pytest.mark.parametrize("keys", ["\x0f", "\x1b#", "\x12", "\x1b<", "\x1b>"])
async def test_no_key_of_shells_empties_or_sends(keys: str) -> None:
    async with stage() as at:
        at.composer.insert("precious\nwords")
        await at.type(keys)
        assert "precious" in at.text
        assert "words" in at.text
        assert at.submitted == []


async def test_ctrl_d_takes_a_whole_emoji() -> None:
    async with stage() as at:
        at.composer.insert("👩‍👩‍👧b")
        await at.type("\x01\x04")
        assert at.text == "b"
