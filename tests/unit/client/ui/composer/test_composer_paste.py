"""Pasting in the composer: one insertion, never sent by itself; a prompt if long."""

from collections.abc import Callable

import pytest
from prompt_toolkit.buffer import Buffer

from chatd.protocol.messages import Limits
from client.errors import LinkError
from tests.helpers import eventually
from tests.unit.client.ui.composer.composing import PASTE, ComposerStage, stage

LONG = "".join(f"line {n}\n" for n in range(1, 11))
HUGE = "".join(f"line {n:05} of a log that is much too long\n" for n in range(10_000))
ESC = "\x1b"
DOWN = "\x1b[B"


async def sent_files(at: ComposerStage) -> list[tuple[str, str, bytes]]:
    await eventually(lambda: bool(at.link.kept.sent), "a file")
    return at.link.kept.sent


async def test_a_short_paste_is_text_at_once_and_is_not_sent() -> None:
    async with stage() as at:
        await at.type("see ")
        await at.paste("one\r\ntwo\rthree\n")
        assert at.text == "see one\ntwo\nthree"
        assert at.submitted == []
        assert not at.composer.is_choosing
        await at.type("\r")
        assert at.submitted == [("see one\ntwo\nthree", None)]


async def test_a_paste_is_one_step_that_can_be_undone() -> None:
    async with stage() as at:
        await at.type("see ")
        await at.paste("one\ntwo")
        await at.type("\x1f")
        assert at.text == "see "


@pytest.mark.parametrize("keys", ["m", "M", "\r"])
async def test_a_long_paste_may_become_one_message(keys: str) -> None:
    async with stage() as at:
        await at.type("see: ")
        await at.paste(LONG)
        assert at.composer.is_choosing
        assert at.text == "see: "
        await at.type(keys)
        assert at.text == "see: " + LONG.rstrip()
        assert at.submitted == []
        await at.type(" end\r")
        assert at.submitted == [("see: " + LONG.rstrip() + " end", None)]


@pytest.mark.parametrize("keys", ["c", f"{DOWN}\r", "\t\r"])
async def test_a_long_paste_may_become_a_code_block(keys: str) -> None:
    async with stage() as at:
        await at.type("see:")
        await at.paste(LONG)
        await at.type(keys)
        assert at.text == f"see:\n```\n{LONG}```"
        await at.type("\x1f")
        assert at.text == "see:"


async def test_a_long_paste_may_become_a_file() -> None:
    async with stage() as at:
        await at.paste(LONG)
        await at.type("fgo on")
        [(chat, name, data)] = await sent_files(at)
        assert (chat, data) == ("#ops", LONG.encode())
        assert name.startswith("paste-")
        assert name.endswith(".txt")
        assert at.text == "go on"
        assert at.submitted == []


@pytest.mark.parametrize("keys", ["n", ESC, "\x03", "\x1b[A\r"])
async def test_a_long_paste_may_become_nothing(keys: str) -> None:
    async with stage() as at:
        await at.type("see ")
        await at.paste(LONG)
        await at.type(f"{keys}on")
        assert at.text == "see on"
        assert at.link.kept.sent == []


async def test_other_keys_do_nothing_while_it_asks() -> None:
    async with stage() as at:
        await at.paste(LONG)
        await at.type(f"xyz{PASTE.format('again')}")
        assert at.composer.is_choosing
        assert at.text == ""


async def test_another_chat_ends_the_question() -> None:
    async with stage() as at:
        await at.paste(LONG)
        at.composer.open("@bob")
        assert not at.composer.is_choosing
        await at.type("hi")
        assert at.text == "hi"


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (60, 15)])
async def test_the_question_is_in_the_place_of_the_composer(
    columns: int, rows: int
) -> None:
    async with stage(columns=columns, rows=rows) as at:
        await at.paste(LONG)
        assert at.composer.height() == 7
        assert at.frame()[-8:] == [
            "-" * columns,
            " A paste of 10 lines, 71 bytes: what is it to be?",
            " line 1 line 2 line 3 line 4 line 5 line 6 line 7 line 8…",
            " > m  one message, to go on writing",
            "   c  a code block, to go on writing",
            "   f  a file, sent at once",
            "   n  nothing: leave it",
            " a letter, or arrows and Enter; Esc for nothing",
        ]


async def test_what_is_too_long_for_a_message_is_sent_as_a_file_or_stays() -> None:
    async with stage() as at:
        at.composer.insert("x" * 16_385)
        await at.type("\r")
        assert at.composer.is_choosing
        assert at.submitted == []
        await at.type(ESC)
        assert len(at.text) == 16_385
        await at.type("\rf")
        [(_, _, data)] = await sent_files(at)
        assert data == b"x" * 16_385
        assert at.composer.is_empty
        assert at.submitted == []


async def test_it_is_the_bytes_as_they_are_sent_that_count() -> None:
    async with stage() as at:
        at.composer.insert("x" * 16_380 + " :tada:")
        await at.type("\r")
        assert at.composer.is_choosing
        await at.type(f"{ESC}\x7f\x7f\x7f\x7f\x7f\x7f\x7f")
        at.composer.insert("é")
        await at.type("\r")
        assert [len(text.encode()) for text, _ in at.submitted] == [16_382]


async def test_where_there_are_no_files_a_text_that_is_too_long_is_refused() -> None:
    async with stage() as at:
        at.link.limits = Limits(frame=131_072, text=100, in_flight=256)
        await at.paste("x" * 3_000)
        assert not at.composer.is_choosing
        at.composer.insert("x" * 101)
        await at.type("\r")
        assert "too long" in at.frontend.text
        assert len(at.text) == 101


async def test_before_the_first_login_the_usual_limit_holds() -> None:
    async with stage() as at:
        at.link.limits = None
        at.composer.insert("x" * 16_385)
        await at.type("\r")
        assert "a message holds 16,384 bytes" in at.frontend.text


async def test_a_file_that_cannot_be_sent_is_told() -> None:
    async with stage() as at:
        at.link.kept.error = LinkError("the disk is full")
        await at.paste(LONG)
        await at.type("f")
        await eventually(lambda: bool(at.frontend.lines), "a line")
        assert "was not sent: the disk is full" in at.frontend.text


# Ten thousand lines -------------------------------------------------------------------


@pytest.fixture
def edits(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Return how often a buffer was changed since the last call."""
    count = 0
    change = Buffer._text_changed

    def counted(self: Buffer) -> None:
        nonlocal count
        count += 1
        change(self)

    monkeypatch.setattr(Buffer, "_text_changed", counted)

    def since() -> int:
        nonlocal count
        found, count = count, 0
        return found

    return since


async def test_ten_thousand_lines_are_asked_about_and_change_nothing_before(
    edits: Callable[[], int],
) -> None:
    async with stage() as at:
        edits()
        await at.paste(HUGE)
        assert edits() == 0
        assert at.composer.is_choosing
        frame = at.frame()
        assert " A paste of 10,000 lines, 420 kB: what is it to be?" in frame
        assert frame[-3:-1] == [" > n  nothing: leave it", "   f  a file, sent at once"]
        await at.type("f")
        [(_, _, data)] = await sent_files(at)
        assert data == HUGE.encode()


async def test_a_paste_without_brackets_is_not_sent_line_by_line(
    edits: Callable[[], int],
) -> None:
    async with stage() as at:
        text = HUGE[:100_000].rstrip("\n") + "\n"
        edits()
        await at.type("see: " + text.replace("\n", "\r"))
        assert at.submitted == []
        assert at.text == "see: " + text
        # Once for each read, and for what came before the first line end.
        assert edits() < 400
        at.now += 1
        await at.type("\r")
        assert at.composer.is_choosing


async def test_tabs_of_a_paste_without_brackets_stay_tabs() -> None:
    async with stage() as at:
        await at.type("a\r\tb\r\tc\r\td\r\t")
        assert at.text == "a\n\tb\n\tc\n\td\n\t"
        await at.type("\te")
        assert at.text.endswith("\t\te")


async def test_lines_typed_ahead_are_sent_each() -> None:
    async with stage() as at:
        await at.type("yes\rno\rbye\r")
        assert [text for text, _ in at.submitted] == ["yes", "no", "bye"]


async def test_after_a_pause_enter_sends_again() -> None:
    async with stage() as at:
        await at.type("a\rb\rc\rd\r")
        assert at.submitted == []
        at.now += 0.6
        await at.type("\r")
        assert at.submitted == [("a\nb\nc\nd", None)]


async def test_two_lines_that_nobody_types_so_fast_are_not_sent() -> None:
    async with stage() as at:
        await at.type(
            "one line of a paste without brackets\rand then another one of it\r"
        )
        assert at.submitted == []
        assert (
            at.text
            == "one line of a paste without brackets\nand then another one of it\n"
        )


async def test_a_tab_in_a_paste_without_brackets_completes_nothing() -> None:
    async with stage() as at:
        cells = "\t".join(["bo", "name", "place", "x" * 60])
        await at.type(cells)
        assert at.text == cells


async def test_what_was_typed_before_does_not_make_typing_a_paste() -> None:
    async with stage() as at:
        for _ in range(20):
            await at.type("word ")
        await at.type("x\ry")
        assert len(at.submitted) == 1
        assert at.text == "y"
