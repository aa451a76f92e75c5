"""The table of actions: default keys, the user's own keys, the bindings, the help."""

import asyncio
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
from prompt_toolkit.application import Application, create_app_session
from prompt_toolkit.filters import Condition
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.input.base import PipeInput
from prompt_toolkit.layout import Layout, Window
from prompt_toolkit.output import DummyOutput

from chatd.text.safe import width
from client.commands import make_registry
from client.commands.registry import Command
from client.keys.actions import (
    ACTIONS,
    SHELL_KEYS,
    Action,
    KeyMapError,
    bind,
    check_keys,
    keys_of,
    shown_keys,
)
from client.text.entries import Look
from client.text.styles import plain
from client.ui.dialogs.help import help_lines

BY_NAME = {action.name: action for action in ACTIONS}
DEFAULTS = {
    action.name: [part for part in shown_keys(action).split(", ") if part]
    for action in ACTIONS
}


def test_names_are_unique_and_helps_are_there() -> None:
    assert len(BY_NAME) == len(ACTIONS)
    assert all(action.help and action.group for action in ACTIONS)


def test_groups_are_not_torn_apart() -> None:
    groups = [action.group for action in ACTIONS]
    changes = sum(
        1 for one, other in zip(groups, groups[1:], strict=False) if one != other
    )
    assert changes == len(set(groups)) - 1


def test_the_table_itself_has_no_conflict() -> None:
    checked = check_keys(DEFAULTS)
    assert checked == {action.name: action.keys for action in ACTIONS}


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("send", "Enter"),
        ("newline", "Alt+Enter, Ctrl+J"),
        ("next-activity", "Alt+A"),
        ("chat-1", "Alt+1"),
        ("chat-10", "Alt+0"),
        ("next-chat", "Ctrl+N, Alt+Down"),
        ("previous-chat", "Ctrl+P, Alt+Up"),
        ("switcher", "Ctrl+K, Ctrl+G"),
        ("last-chat", "Alt+/, Alt+S"),
        ("first-unread", "Alt+U"),
        ("next-mention", "Alt+N"),
        ("previous-mention", "Alt+P"),
        ("search", "Ctrl+F, Ctrl+S"),
        ("select", "Alt+M"),
        ("bare", "Alt+L"),
        ("top", "Alt+Home"),
        ("bottom", "Alt+End"),
        ("end", "End"),
        ("editor", "Ctrl+X Ctrl+E, Alt+E"),
        ("history-back", "Ctrl+Up"),
        ("help", "F1"),
        ("chats-panel", "F2"),
        ("people-panel", "F3"),
        ("redraw", "Ctrl+L"),
        ("interrupt", "Ctrl+C"),
    ],
)
def test_the_keys_are_those_that_people_expect(name: str, keys: str) -> None:
    assert shown_keys(BY_NAME[name]) == keys


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"serach": ["F6"]}, "did you mean 'search'"),
        ({"x": ["F6"]}, "chat config"),
        ({"search": ["Hyper+F"]}, "'Hyper' is none of"),
        ({"search": ["Ctrl+N"]}, "Ctrl\\+N is the key of 'next-chat'"),
        ({"help": ["Up"]}, "Up is the key of 'select-up'"),
        ({"page-up": ["End"]}, "End is the key of 'end'"),
        ({"search": ["x"]}, "x is needed for typing"),
        ({"search": ["Space x"]}, "Space x is needed for typing"),
        ({"list-up": ["k"]}, "k is needed for typing"),
        ({"search": ["Ctrl+X"]}, "Ctrl\\+X begins Ctrl\\+X Ctrl\\+E of 'editor'"),
        (
            {"search": ["F1 F2"]},
            "F1 begins F1 F2 of 'search'|F1 begins F1 F2 of 'help'",
        ),
        ({"search": ["F6"], "date": ["F6"]}, "F6 is the key of"),
    ],
)
def test_keys_that_cannot_be_used_are_refused_with_the_reason(
    given: dict[str, list[str]], said: str
) -> None:
    with pytest.raises(KeyMapError, match=said) as caught:
        check_keys(given)
    assert caught.value.action in given


def test_keys_can_be_exchanged_moved_and_taken_away() -> None:
    found = check_keys(
        {"search": ["Ctrl+N"], "next-chat": [], "select-up": ["u"], "quit": ["Alt+Q"]}
    )
    assert found == {
        "search": ("c-n",),
        "next-chat": (),
        "select-up": ("u",),
        "quit": ("escape q",),
    }
    assert keys_of(BY_NAME["search"], found) == ("c-n",)
    assert keys_of(BY_NAME["date"], found) == ("escape g",)


def test_places_that_are_never_entered_together_may_share_keys() -> None:
    shared = {
        one.name: other.name
        for one, other in combinations(ACTIONS, 2)
        if set(one.keys) & set(other.keys)
    }
    assert shared["send"] in ("select-fold", "list-open")
    assert check_keys({"list-close": ["Esc", "F6"], "select-end": ["F6"]})


def test_an_action_without_a_handler_is_not_bound_silently() -> None:
    with pytest.raises(LookupError, match="'send'"):
        bind(ACTIONS, {})


@pytest.fixture
def keys() -> Iterator[PipeInput]:
    with create_pipe_input() as keys, create_app_session(keys, DummyOutput()):
        yield keys


async def test_keys_reach_their_handlers_where_they_count(keys: PipeInput) -> None:
    done: list[str] = []
    place = "chat"
    overrides = check_keys({"search": ["F6"]})

    def handle(name: str) -> None:
        nonlocal place
        done.append(name)
        place = {"select": "select", "select-end": "chat"}.get(name, place)
        if name == "quit":
            app.exit()

    handlers = {name: (lambda e, n=name: handle(n)) for name in BY_NAME}
    bindings = bind(
        ACTIONS,
        handlers,
        {**overrides, "quit": ("c-q",)},
        {
            "chat": Condition(lambda: place == "chat"),
            "empty": Condition(lambda: place == "chat"),
            "select": Condition(lambda: place == "select"),
            "list": Condition(lambda: place == "list"),
        },
    )
    app: Application[None] = Application(Layout(Window()), key_bindings=bindings)
    app.ttimeoutlen = app.timeoutlen = 0.01
    keys.send_text("\x1ba\x0e\r\x1b[17~\x1bm\rkq\x18\x05\x06\x1b[F\x11")
    async with asyncio.timeout(10):
        await app.run_async()
    assert done == [
        *("next-activity", "next-chat", "send", "search", "select"),
        *("select-fold", "select-up", "select-end", "editor", "end", "quit"),
    ]


WIDE = Look()


def lines_of(look: Look = WIDE, **members: Any) -> list[str]:
    return [plain(line) for line in help_lines(look, **members)]


def test_help_lists_every_key_and_every_command() -> None:
    text = "\n".join(lines_of(registry=make_registry()))
    for action in (*ACTIONS, *SHELL_KEYS):
        assert action.help in text
        if not action.name.startswith("chat-"):
            assert shown_keys(action) in text
    for command in make_registry().all():
        assert command.title in text


def test_a_new_action_and_a_new_command_are_in_the_help_by_themselves() -> None:
    wave = Action(name="wave", keys=("f6",), help="greet everybody", group="Manners")
    registry = make_registry()
    bow = make_registry().find("who").handler
    command = Command(name="bow", help="bow to the room", handler=bow, group="Manners")
    registry.add(command)
    lines = lines_of(actions=(*ACTIONS, wave), registry=registry)
    assert any("F6" in line and "greet everybody" in line for line in lines)
    assert any("/bow" in line and "bow to the room" in line for line in lines)
    assert {"Manners", "Commands: manners"} <= set(lines)


def test_help_finds_whole_entries_by_any_word_of_them() -> None:
    narrow = Look(columns=54)
    assert len(lines_of(narrow, wanted="alt+l")) > 2
    for wanted in ("alt+l", "COPYING, and"):
        text = " ".join(" ".join(lines_of(narrow, wanted=wanted)).split())
        assert text == (
            "Screen Alt+L only text, for the terminal's own copying, and back"
        )
    assert lines_of(wanted="after alt+m")[0].startswith("Messages")
    assert lines_of(wanted="zebra") == []


def test_the_keys_of_the_shell_have_no_other_meaning_while_one_writes() -> None:
    shell = {keys for each in SHELL_KEYS for keys in each.keys}
    writing = [each for each in ACTIONS if each.when not in ("select", "list")]
    assert not shell & {keys for each in writing for keys in each.keys}


def test_the_keys_of_the_shell_give_way_to_ones_own() -> None:
    overrides = check_keys({"search": ["Ctrl+W"]})
    lines = lines_of(overrides=overrides)
    (row,) = (line for line in lines if "delete the word" in line)
    assert "Alt+D" in row
    assert "Ctrl+W" not in row


def test_help_shows_ones_own_keys_and_no_action_without_a_key() -> None:
    overrides = check_keys({"search": ["F6"], "date": []})
    text = "\n".join(plain(line) for line in help_lines(Look(), overrides))
    assert "Ctrl+F" not in text
    assert "F6" in text
    assert BY_NAME["date"].help not in text
    assert BY_NAME["quit"].help not in text


def test_help_makes_one_line_of_the_numbered_chats() -> None:
    lines = lines_of()
    assert sum("of that number" in line for line in lines) == 1
    assert any("Alt+1 … Alt+0" in line for line in lines)


@pytest.mark.parametrize("columns", [54, 60, 72, 80, 120])
def test_help_fits_the_screen_with_room_for_what_keys_do(columns: int) -> None:
    for line in help_lines(Look(columns=columns), None, make_registry()):
        assert width(plain(line)) < columns
        if len(line) == 2:
            assert width(line[0][1]) <= columns // 2
