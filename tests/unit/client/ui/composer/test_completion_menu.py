"""The completion menu: Tab, arrows, Enter, Esc, and its position on the screen."""

import threading
from pathlib import Path

import pytest

from chatd.protocol.messages import Presence, PresenceOf
from client.commands.local_paths import names_in
from client.ui.composer import emoji
from tests.fakes.link import entry
from tests.helpers import eventually
from tests.unit.client.ui.composer.composing import ComposerStage, stage

TAB = "\t"
SHIFT_TAB = "\x1b[Z"
ESC = "\x1b"
UP = "\x1b[A"
DOWN = "\x1b[B"
LEFT = "\x1b[D"


def online(at: ComposerStage, *names: str) -> None:
    users = {name: PresenceOf(status="online") for name in names}
    at.link.take(Presence(users=users, more=False))


async def test_the_only_word_that_fits_is_put_in_at_once() -> None:
    async with stage() as at:
        online(at, "anna")
        await at.type(f"ann{TAB}")
        assert at.text == "anna: "
        assert at.offered == []
        await at.type(f"ask @bo{TAB}")
        assert at.text == "anna: ask @bob "


async def test_tab_goes_through_the_words_and_back_to_what_was_typed() -> None:
    async with stage() as at:
        online(at, "anna", "annette")
        texts: list[str] = []
        for _ in range(4):
            await at.type(TAB if texts else f"hi an{TAB}")
            texts.append(at.text)
        assert texts == ["hi anna ", "hi annette ", "hi an", "hi anna "]
        await at.type(SHIFT_TAB)
        assert at.text == "hi an"
        await at.type(SHIFT_TAB)
        assert at.text == "hi annette "


async def test_shift_tab_begins_with_the_last_word() -> None:
    async with stage() as at:
        online(at, "anna", "annette")
        await at.type(f"an{SHIFT_TAB}")
        assert at.text == "annette: "


async def test_the_menu_opens_and_narrows_as_one_types() -> None:
    async with stage() as at:
        online(at, "anna", "annette", "abel")
        await at.type("ask @")
        assert at.offered == ["@abel", "@anna", "@annette", "@bob"]
        await at.type("an")
        assert at.offered == ["@anna", "@annette"]
        await at.type("\x7f")
        assert at.offered == ["@abel", "@anna", "@annette"]
        await at.type(" ")
        assert at.offered == []


async def test_what_was_asked_for_narrows_too() -> None:
    async with stage() as at:
        online(at, "anna", "annette")
        await at.type(f"hi an{TAB}{TAB}{TAB}")
        assert at.text == "hi an"
        await at.type("nn\x7f")
        assert at.offered == ["anna", "annette"]
        await at.type(" an")
        assert at.offered == []


async def test_enter_sends_if_nothing_was_taken_from_the_menu() -> None:
    async with stage() as at:
        await at.type("ask @bo\r")
        assert at.submitted == [("ask @bo", None)]
        assert at.offered == []


async def test_enter_takes_the_word_and_the_next_one_sends() -> None:
    async with stage() as at:
        online(at, "anna", "annette")
        await at.type(f"hi @an{TAB}\r")
        assert (at.text, at.offered, at.submitted) == ("hi @anna ", [], [])
        await at.type("\r")
        assert at.submitted == [("hi @anna", None)]


async def test_escape_puts_back_what_was_typed_and_offers_no_more_for_it() -> None:
    async with stage() as at:
        online(at, "anna", "annette")
        await at.type(f"hi @an{TAB}{ESC}")
        assert (at.text, at.offered) == ("hi @an", [])
        await at.type("n")
        assert at.offered == []
        await at.type(f"{TAB}")
        assert at.offered == ["@anna", "@annette"]
        await at.type(f"{ESC} @a")
        assert at.offered == ["@anna", "@annette"]


async def test_what_was_refused_is_offered_again_in_the_next_message() -> None:
    async with stage() as at:
        await at.type(f"@b{ESC}ob\r@b")
        assert at.offered == ["@bob"]


async def test_after_a_word_was_taken_the_next_one_is_offered() -> None:
    async with stage() as at:
        online(at, "anna", "annette")
        await at.type(f"@an{TAB}\r@b")
        assert at.text == "@anna @b"
        assert at.offered == ["@bob"]


async def test_escape_closes_the_menu_before_it_ends_a_reply() -> None:
    async with stage() as at:
        at.composer.reply_to = entry("disk", 7)
        await at.type(f"@bo{ESC}")
        assert at.is_replying
        await at.type(ESC)
        assert not at.is_replying


async def test_arrows_go_through_the_menu_and_do_not_move_the_cursor() -> None:
    async with stage() as at:
        online(at, "anna", "annette")
        await at.type(f"one\nhi @an{DOWN}{DOWN}")
        assert at.text == "one\nhi @annette "
        await at.type(UP)
        assert at.text == "one\nhi @anna "


async def test_going_elsewhere_with_the_cursor_closes_the_menu() -> None:
    async with stage() as at:
        await at.type(f"ask @bo{LEFT}")
        assert at.offered == []
        await at.type("\x1b[C")
        assert at.offered == []


async def test_going_on_after_a_word_was_taken_needs_no_blank() -> None:
    async with stage() as at:
        online(at, "anna", "annette")
        await at.type(f"hi an{TAB}there")
        assert at.text == "hi anna there"
        assert at.offered == []


async def test_recalled_text_opens_no_menu() -> None:
    async with stage() as at:
        await at.type("ask @bo\r\x1b[1;5A")
        assert (at.text, at.offered) == ("ask @bo", [])


async def test_a_draft_opens_no_menu() -> None:
    async with stage() as at:
        await at.type("ask @bo")
        at.composer.open("@bob")
        at.composer.open("#ops")
        assert (at.text, at.offered) == ("ask @bo", [])


# Slow completions ---------------------------------------------------------------------


async def test_paths_are_looked_up_off_the_loop_and_then_put_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "core dump.tar").touch()
    threads = []

    def spy(folder: Path, prefix: str) -> list[str]:
        threads.append(threading.current_thread())
        return names_in(folder, prefix)

    monkeypatch.setattr("client.ui.composer.completion.names_in", spy)
    async with stage() as at:
        await at.type(f"/send {tmp_path}/co{TAB}")
        path = f"/send {tmp_path}/core dump.tar "
        await eventually(lambda: at.text == path, "the path")
        assert threading.main_thread() not in threads


async def test_paths_that_come_too_late_are_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "core.tar").touch()
    may_go_on = threading.Event()
    done = threading.Event()

    def slow(folder: Path, prefix: str) -> list[str]:
        may_go_on.wait(10)
        done.set()
        return names_in(folder, prefix)

    monkeypatch.setattr("client.ui.composer.completion.names_in", slow)
    async with stage() as at:
        await at.type(f"/send {tmp_path}/co{TAB}\x15hello")
        may_go_on.set()
        await eventually(done.is_set, "the lookup")
        await eventually(lambda: at.composer.menu._task is None, "its end")
        assert at.text == "hello"
        assert at.offered == []


async def test_emoji_are_offered_once_their_table_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(emoji, "_table", None)
    async with stage() as at:
        await at.type("well :tad")
        await eventually(lambda: at.offered == ["🎉 :tada:"], "emoji")
        await at.type(TAB)
        assert at.text == "well :tada: "
        await at.type("\r")
        assert at.submitted == [("well 🎉", None)]


# On the screen ------------------------------------------------------------------------


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (60, 15)])
async def test_the_menu_is_above_the_composer_and_leaves_it_free(
    columns: int, rows: int
) -> None:
    async with stage(columns=columns, rows=rows) as at:
        await at.type("/")
        frame = at.frame()
        assert frame[-1] == "> /"
        assert at.cursor == (rows - 1, 3)
        # Below 80 columns there is no space for the menu to be under the cursor.
        start = frame[-9].index("/away")
        assert all(row[start - 1 : start + 1] == " /" for row in frame[-9:-1])
        assert frame[-10] == "timeline"


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (60, 15)])
async def test_the_menu_scrolls_with_the_chosen_word(columns: int, rows: int) -> None:
    async with stage(columns=columns, rows=rows) as at:
        online(at, *(f"user{n:02}" for n in range(40)))
        await at.type("hi @user" + TAB * 20)
        assert at.text == "hi @user19 "
        frame = at.frame()
        assert frame[-1] == "> hi @user19"
        assert any("@user19" in row for row in frame[-9:-1])
        assert sum("@user" in row for row in frame[:-1]) == 8


async def test_the_menu_fits_above_a_composer_of_eight_rows() -> None:
    async with stage(columns=60, rows=15) as at:
        await at.type("row\n" * 7 + "/x @")
        await at.type("\x7f\x7f\x7f\x7f@")
        frame = at.frame()
        assert frame[-1] == "  @"
        assert "@bob" in "".join(frame)


async def test_help_of_commands_is_cut_to_the_width() -> None:
    async with stage(columns=40, rows=15) as at:
        await at.type("/m")
        frame = at.frame()
        assert frame[-1] == "> /m"
        assert any("/me" in row for row in frame)
        assert all(len(row) <= 40 for row in frame)
