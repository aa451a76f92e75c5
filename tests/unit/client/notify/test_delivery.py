"""Delivery of notifications: terminal sequences, the title, the user's own program."""

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.config.config_file import NotifyConfig
from client.notify import delivery
from client.notify.delivery import AlertDelivery, Program, Title, fill, osc, osc_way
from client.notify.notifier import Alert
from client.terminal.multiplexers import pass_through

XTERM = {"TERM": "xterm-256color"}
TMUX = {"TERM": "tmux-256color", "TMUX": "/tmp/tmux-0/default,1,0"}
SCREEN = {"TERM": "screen-256color", "STY": "1.pts"}


def alert(title: str = "bob in #ops", text: str = "look", count: int = 1) -> Alert:
    return Alert(chat="#ops", sender="bob", title=title, text=text, count=count)


# The terminal -------------------------------------------------------------------------


async def test_the_bell_rings_unless_it_is_off() -> None:
    for is_on, expected in ((True, ["\a"]), (False, [])):
        written: list[str] = []
        settings = NotifyConfig(bell=is_on)
        AlertDelivery(settings, written.append, XTERM, pytest.fail).ring(alert())
        assert written == expected


async def test_without_a_terminal_nothing_is_written() -> None:
    delivery = AlertDelivery(NotifyConfig(osc="9"), None, XTERM, pytest.fail)
    delivery.ring(alert())
    await delivery.close()


async def test_bell_and_notification_are_written_in_one_go() -> None:
    written: list[str] = []
    settings = NotifyConfig(osc="777")
    AlertDelivery(settings, written.append, XTERM, pytest.fail).ring(alert())
    assert written == ["\a\x1b]777;notify;bob in #ops;look\a"]


@pytest.mark.parametrize(
    ("environment", "way"),
    [
        (XTERM, None),
        ({}, None),
        ({"TERM": "linux"}, None),
        ({**XTERM, "TERM_PROGRAM": "iTerm.app"}, "9"),
        ({**XTERM, "LC_TERMINAL": "iTerm2"}, "9"),
        ({"TERM": "xterm-kitty"}, "9"),
        ({"TERM": "xterm-ghostty"}, "777"),
        ({**XTERM, "TERM_PROGRAM": "WezTerm"}, "777"),
        ({"TERM": "foot"}, "777"),
        ({"TERM": "rxvt-unicode-256color"}, "777"),
        ({**XTERM, "KONSOLE_VERSION": "230400"}, "777"),
        ({**TMUX, "KONSOLE_VERSION": "230400"}, None),
        ({**SCREEN, "TERM_PROGRAM": "iTerm.app"}, None),
    ],
)
def test_the_way_is_chosen_only_where_the_terminal_is_known(
    environment: dict[str, str], way: str | None
) -> None:
    assert osc_way("auto", environment) == way
    assert osc_way("off", environment) is None
    assert osc_way("9", environment) == "9"
    assert osc_way("777", environment) == "777"


def test_a_text_is_never_taken_for_a_command_of_the_terminal() -> None:
    assert osc(alert("4;3", "50"), "9") == "\x1b]9; 4;3: 50\a"
    assert osc(alert("12", "x"), "9") == "\x1b]9;12: x\a"
    assert osc(alert("a;b", "c;d"), "777") == "\x1b]777;notify;a,b;c;d\a"


@given(st.text(), st.text())
def test_nothing_that_others_write_ends_the_sequence(title: str, text: str) -> None:
    for way in ("9", "777"):
        inside = osc(alert(title, text), "9" if way == "9" else "777")[2:-1]
        assert all(char.isprintable() or ord(char) > 0x9F for char in inside)


def test_tmux_and_screen_are_passed_through() -> None:
    assert pass_through("\x1b]9;x\a", XTERM) == "\x1b]9;x\a"
    assert pass_through("\x1b]9;x\a", TMUX) == "\x1bPtmux;\x1b\x1b]9;x\a\x1b\\"
    assert pass_through("\x1b]9;x\a", SCREEN) == "\x1bP\x1b]9;x\a\x1b\\"


def test_what_is_too_long_for_screen_is_passed_through_in_pieces() -> None:
    sequence = "\x1b]52;c;" + "漢字ab" * 1_000 + "\a"
    passed = pass_through(sequence, SCREEN)
    pieces = passed.removeprefix("\x1bP").removesuffix("\x1b\\").split("\x1b\\\x1bP")
    assert "".join(pieces) == sequence
    assert max(len(piece.encode()) for piece in pieces) < 768


# The title ----------------------------------------------------------------------------


def test_the_title_is_written_when_it_changes_and_put_back_at_the_end() -> None:
    written: list[str] = []
    title = Title(written.append, XTERM)
    for text in ("chat", "chat", "(1) chat", "(1) chat"):
        title.set(text)
    title.restore()
    title.restore()
    assert written == [
        *("\x1b[22;2t\x1b]2;chat\a", "\x1b]2;(1) chat\a", "\x1b[23;2t"),
    ]


def test_a_title_cannot_end_its_sequence() -> None:
    written: list[str] = []
    Title(written.append, XTERM).set("a\x1b]0;b\x07" + "c" * 1000)
    assert "\x1b" not in written[0].removeprefix("\x1b[22;2t\x1b]2;")
    assert len(written[0]) < 200


@pytest.mark.parametrize("environment", [{"TERM": "linux"}, {"TERM": "dumb"}, {}])
def test_the_title_is_left_alone_where_it_could_not_be_put_back(
    environment: dict[str, str],
) -> None:
    written: list[str] = []
    title = Title(written.append, environment)
    title.set("chat")
    title.restore()
    assert written == []


def test_inside_of_tmux_it_is_the_panes_title() -> None:
    written: list[str] = []
    Title(written.append, TMUX).set("chat")
    assert written == ["\x1b[22;2t\x1b]2;chat\a"]


def test_inside_of_screen_it_is_the_title_of_the_terminal_around_it() -> None:
    written: list[str] = []
    title = Title(written.append, SCREEN)
    title.set("chat")
    title.restore()
    assert written == [
        *("\x1bP\x1b[22;2t\x1b]2;chat\a\x1b\\", "\x1bP\x1b[23;2t\x1b\\"),
    ]


def test_a_title_that_is_not_wanted_is_left_alone() -> None:
    written: list[str] = []
    title = Title(written.append, XTERM)
    title.set("")
    title.restore()
    assert written == []


# The user's own program ---------------------------------------------------------------


def test_places_are_filled_once_and_never_become_an_option() -> None:
    assert fill("{title}: {text}", alert()) == "bob in #ops: look"
    assert fill("{chat}/{sender}/{other}", alert()) == "#ops/bob/{other}"
    assert fill("{text}", alert(text="{title} $(id) `id`")) == "{title} $(id) `id`"
    assert fill("{text}", alert(text="--help")) == " --help"
    assert fill("--body={text}", alert(text="-x")) == "--body=-x"


RECORD = """
import json, sys
with open(sys.argv[1], "a") as file:
    file.write(json.dumps([sys.argv[2:], sys.stdin.read()]) + "\\n")
"""


def recorded(path: Path) -> list[tuple[list[str], str]]:
    return [tuple(json.loads(line)) for line in path.read_text().splitlines()]


async def test_the_program_gets_arguments_and_input_and_no_shell(
    tmp_path: Path,
) -> None:
    path = tmp_path / "calls"
    command = (sys.executable, "-c", RECORD, str(path), "{title}", "{text}", "$HOME")
    program = Program(command, pytest.fail)
    program.run(alert(text="'; rm -rf $HOME; \"`id`"))
    await program.idle()
    ((arguments, given),) = recorded(path)
    assert arguments == ["bob in #ops", "'; rm -rf $HOME; \"`id`", "$HOME"]
    assert given == "bob in #ops\n'; rm -rf $HOME; \"`id`\n"


async def test_what_comes_while_it_runs_is_one_notification_afterwards(
    tmp_path: Path,
) -> None:
    path = tmp_path / "calls"
    command = (sys.executable, "-c", RECORD, str(path), "{title}")
    program = Program(command, pytest.fail)
    program.run(alert())
    for number in range(10):
        program.run(alert(f"#{number}", count=2))
    await program.idle()
    titles = [arguments[0] for arguments, _ in recorded(path)]
    assert titles in (
        ["bob in #ops", "20 messages, the last: #9"],
        ["21 messages, the last: #9"],
    )


async def test_a_program_that_cannot_be_run_is_told_of_once() -> None:
    told: list[str] = []
    program = Program(("/no/such/program",), told.append)
    for _ in range(3):
        program.run(alert())
        await program.idle()
    (said,) = told
    assert "/no/such/program" in said
    assert "No such file" in said


async def test_a_program_that_fails_is_told_of_once() -> None:
    told: list[str] = []
    program = Program((sys.executable, "-c", "raise SystemExit(3)"), told.append)
    for _ in range(2):
        program.run(alert())
        await program.idle()
    (said,) = told
    assert "status 3" in said


async def test_a_program_that_does_not_end_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delivery, "PROGRAM_SECONDS", 0.2)
    told: list[str] = []
    sleeper = "import signal; signal.pause()"
    program = Program((sys.executable, "-c", sleeper), told.append)
    program.run(alert())
    await program.idle()
    assert "was ended" in told[0]


async def test_at_the_end_nothing_is_left_running(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delivery, "CLOSE_SECONDS", 0.05)
    sleeper = "import signal; signal.pause()"
    program = Program((sys.executable, "-c", sleeper), pytest.fail)
    program.run(alert())
    await program.close()
    assert program.is_idle


async def test_without_a_program_none_is_run() -> None:
    program = Program((), pytest.fail)
    program.run(alert())
    assert program.is_idle
