"""Transfers in line mode: progress above the prompt, Ctrl+C, and quitting."""

from pathlib import Path
from typing import Any

import pytest

from tests.fakes.link import info, message, transfer
from tests.service.test_line_mode import Terminal, at_terminal


def begin(terminal: Terminal, name: str = "core.tar", **members: Any) -> int:
    """Let a transfer begin; return its id."""
    return terminal.link.transfers.add(transfer(name, **members)).id


async def test_progress_stands_above_the_prompt_only_while_something_is_under_way() -> (
    None
):
    async with at_terminal() as terminal:
        terminal.type("half a sent")
        await terminal.prompts("#ops> half a sent")
        begun = begin(terminal, moved=367_001_600, rate=1e7)
        await terminal.until(lambda: "50 %" in terminal.out.lines[-2])
        assert terminal.out.lines[-1] == "#ops> half a sent"
        assert terminal.out.lines[-2].startswith("core.tar to #ops  [====")
        terminal.link.transfers.move(begun, moved=550_502_400)
        await terminal.until(lambda: "75 %" in terminal.out.lines[-2])
        terminal.link.transfers.move(begun, state="done")
        await terminal.shows("-- core.tar was sent to #ops")
        await terminal.prompts("#ops> half a sent")
        assert not any("%" in line for line in terminal.out.lines)


async def test_three_are_shown_and_the_others_counted() -> None:
    async with at_terminal() as terminal:
        for number in range(5):
            begin(terminal, f"f{number}.tar")
        await terminal.shows("and 2 more: /transfers")
        shown = [line.split()[0] for line in terminal.out.lines[-5:-1]]
        assert shown == ["f0.tar", "f1.tar", "f2.tar", "and"]


async def test_what_arrives_goes_above_the_progress() -> None:
    async with at_terminal() as terminal:
        begin(terminal)
        await terminal.shows("core.tar to #ops")
        for seq in range(1, 31):
            terminal.link.take(message(f"text {seq}", seq))
        await terminal.shows("text 30")
        await terminal.prompts("#ops>")
        assert [line[:8] for line in terminal.out.lines[-2:]] == ["core.tar", "#ops>"]
        assert sum("core.tar" in line for line in terminal.out.lines) == 1


async def test_progress_fits_a_window_that_was_made_narrower() -> None:
    async with at_terminal() as terminal:
        begun = begin(terminal, moved=1, rate=1e7)
        await terminal.shows("0 %")
        terminal.out.size = terminal.out.size._replace(columns=40)
        terminal.link.transfers.move(begun, moved=367_001_600)
        await terminal.shows("50 %")
        assert max(map(len, terminal.out.lines[-2:])) < 40


async def test_ctrl_c_twice_cancels_the_newest_and_the_chat_goes_on() -> None:
    async with at_terminal() as terminal:
        begin(terminal, "old.tar")
        begin(terminal, "core.tar")
        terminal.type("half\x03")
        terminal.type("\x03")
        await terminal.shows("Ctrl+C again cancels core.tar")
        terminal.type("\x03")
        await terminal.shows("core.tar to #ops was cancelled")
        states = [each.state for each in terminal.link.transfers.items]
        assert states == ["moving", "cancelled"]
        terminal.type("hello\r")
        await terminal.until(lambda: len(terminal.link.items) == 1)


async def test_quitting_with_files_under_way_says_that_they_go_on() -> None:
    async with at_terminal() as terminal:
        begin(terminal)
        terminal.type("/quit\r")
        await terminal.shows("the files under way go on at the next start")


async def test_a_file_is_sent_and_got_by_typing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my notes.txt").touch()
    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path)
    async with at_terminal() as terminal:
        terminal.type("/send my\t#op\t\r")
        await terminal.shows("my notes.txt to #ops  [")
        terminal.link.take(message("", 118, kind="file", file=info("b.tar")))
        await terminal.shows("b.tar  734 MB  application/x-tar  /get 118")
        terminal.type("/get b\td\tb2.tar\r")
        await terminal.shows("b.tar from #ops       [")
        targets = terminal.link.transfers.targets
        assert targets == [(None, tmp_path / "docs" / "b2.tar")]


async def test_names_of_others_cannot_act_on_the_terminal_in_the_progress() -> None:
    async with at_terminal() as terminal:
        begin(terminal, "\x1b]0;owned\x07\x1b[2Jevil.tar")
        await terminal.shows("evil.tar to #ops")
        assert terminal.out.screen.title == ""
        await terminal.shows("online as alice")
