"""Actions of the full screen and their keys: the table behind bindings and help.

An action has a name, by which ``[keys]`` of ``client.toml`` gives it other keys, and a
place where it applies. The frontend brings a handler for each action; ``bind`` joins
the two.
"""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from client.keys.key_names import BadKeyError, format_keys, is_typing, parse_keys

if TYPE_CHECKING:
    from prompt_toolkit.filters import FilterOrBool
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

    Handler = Callable[[KeyPressEvent], object]

Place = Literal["always", "chat", "empty", "select", "list"]
"""Where an action applies.

always  everywhere
chat    the chat has the focus: no dialog is open, and no message is being selected
empty   the same, while the composer is empty
select  messages are being selected
list    a dialog is open: switcher, search results, transfers, help
"""


class Action(Struct, frozen=True, kw_only=True):
    """An action that keys can be bound to.

    Attributes:
        name: Its name in the frontend and in ``client.toml``.
        keys: Its keys in the notation of prompt_toolkit, chords separated by blanks;
            any of them does it. If empty, only ``client.toml`` can give it one.
        help: What it does, for the user; several actions in a row with the same text
            make one line of the help.
        group: The heading in the help.
        when: Where it applies.
    """

    name: str
    keys: tuple[str, ...]
    help: str
    group: str
    when: Place = "chat"


class KeyMapError(ValueError):
    """Keys of ``client.toml`` that cannot be used; the text says why.

    Attributes:
        action: The name of the action.
    """

    def __init__(self, action: str, reason: str) -> None:
        super().__init__(reason)
        self.action = action


def _group(group: str, when: Place, *rows: tuple[str, str, str]) -> Iterator[Action]:
    """Yield actions from rows of name, keys (separated by commas) and help."""
    for name, keys, help_ in rows:
        given = tuple(parse_keys(each) for each in keys.split(", ") if each)
        yield Action(name=name, keys=given, help=help_, group=group, when=when)


WRITING, _CHATS, _READING = "Writing", "Chats", "Reading"
_MARKING, _LISTS, _SCREEN = "Messages, after Alt+M", "Lists", "Screen"
_NUMBERED = "the chat of that number in the list"

ACTIONS: tuple[Action, ...] = (
    *_group(
        WRITING,
        "chat",
        ("send", "Enter", "send what is typed"),
        ("newline", "Alt+Enter, Ctrl+J", "begin a new line"),
        ("complete", "Tab", "complete a command, @name, #room, :emoji: or path"),
        ("complete-back", "Shift+Tab", "the offer before"),
        ("history-back", "Ctrl+Up", "what you wrote before"),
        ("history-forward", "Ctrl+Down", "what you wrote after that"),
        ("editor", "Ctrl+X Ctrl+E, Alt+E", "write on in your own editor ($EDITOR)"),
        ("end-reply", "Esc", "reply to nothing after all"),
        ("interrupt", "Ctrl+C", "empty what is typed; if nothing is, twice quits"),
    ),
    *_group(
        _CHATS,
        "chat",
        ("next-activity", "Alt+A", "the next chat with something new, yours first"),
        ("switcher", "Ctrl+K, Ctrl+G", "find a chat or a person by a few letters"),
        ("next-chat", "Ctrl+N, Alt+Down", "the next chat in the list"),
        ("previous-chat", "Ctrl+P, Alt+Up", "the chat before in the list"),
        ("last-chat", "Alt+/, Alt+S", "the chat where you were before"),
        *((f"chat-{n}", f"Alt+{n % 10}", _NUMBERED) for n in range(1, 11)),
    ),
    *_group(
        _READING,
        "chat",
        ("page-up", "PageUp", "a page up"),
        ("page-down", "PageDown", "a page down"),
        ("scroll-up", "Alt+PageUp", "a few lines up"),
        ("scroll-down", "Alt+PageDown", "a few lines down"),
        ("top", "Alt+Home", "the beginning of the chat"),
        ("bottom", "Alt+End", "the newest message"),
        ("first-unread", "Alt+U", "the first message that you have not read"),
        ("next-mention", "Alt+N", "the next message with your name in it"),
        ("previous-mention", "Alt+P", "the one before with your name in it"),
        ("date", "Alt+G", "the messages of a day"),
        ("search", "Ctrl+F, Ctrl+S", "search in this chat"),
        ("select", "Alt+M", "choose messages: to copy, to reply, to unfold"),
    ),
    *_group(
        _READING,
        "empty",
        ("end", "End", "the newest message, while nothing is typed"),
    ),
    *_group(
        _MARKING,
        "select",
        ("select-up", "Up, k", "the message before"),
        ("select-down", "Down, j", "the next message"),
        ("select-page-up", "PageUp", "a page up"),
        ("select-page-down", "PageDown", "a page down"),
        ("select-mark", "Space", "mark the message, or not any more"),
        ("select-copy", "c, y", "copy the marked messages, or this one"),
        ("select-reply", "r", "reply to the message"),
        ("select-fold", "Enter", "show all of a long message, or less of it"),
        ("select-origin", "g", "go to what the message replies to"),
        ("select-save", "s", "save the file of the message"),
        ("select-end", "Esc, q, Alt+M", "back to writing"),
    ),
    *_group(
        _LISTS,
        "list",
        ("list-up", "Up, Ctrl+P", "the line before"),
        ("list-down", "Down, Ctrl+N", "the next line"),
        ("list-page-up", "PageUp", "a page up"),
        ("list-page-down", "PageDown", "a page down"),
        ("list-open", "Enter", "go there"),
        ("list-close", "Esc, Ctrl+C", "close the list"),
    ),
    *_group(
        _SCREEN,
        "always",
        ("help", "F1", "all keys and commands"),
        ("chats-panel", "F2", "show or hide the list of chats"),
        ("people-panel", "F3", "show or hide who is here"),
        ("mouse", "F4", "let the mouse act, or leave it to the terminal"),
        ("transfers", "F5", "files on their way"),
        ("bare", "Alt+L", "only text, for the terminal's own copying, and back"),
        ("redraw", "Ctrl+L", "draw the screen anew"),
        ("suspend", "Ctrl+Z", "back to the shell; fg continues"),
        ("quit", "", "end the program"),
    ),
)
"""Every action, in the order of the help."""

SHELL_KEYS: tuple[Action, ...] = tuple(
    _group(
        "Writing, as in a shell",
        "chat",
        ("line-ends", "Ctrl+A, Ctrl+E", "the beginning, the end of a line"),
        ("words", "Alt+B, Alt+F", "a word back, a word on"),
        ("delete-word", "Ctrl+W, Alt+D", "delete the word before, the word after"),
        ("delete-line", "Ctrl+U", "delete what is before in the line"),
        ("yank", "Ctrl+Y", "what was deleted last"),
        ("undo", "Ctrl+_", "undo what was typed last"),
        ("end-of-input", "Ctrl+D", "quit, while nothing is typed"),
    )
)
"""Keys that are not actions: they cannot be changed, but the user's own go first."""

_BY_NAME = {action.name: action for action in ACTIONS}


def keys_of(
    action: Action, overrides: Mapping[str, tuple[str, ...]] | None = None
) -> tuple[str, ...]:
    """Return the keys of an action, the user's own where there are any."""
    return (overrides or {}).get(action.name, action.keys)


def shown_keys(
    action: Action, overrides: Mapping[str, tuple[str, ...]] | None = None
) -> str:
    """Return the keys of an action as the user writes them; "" if it has none."""
    return ", ".join(format_keys(keys) for keys in keys_of(action, overrides))


def check_keys(given: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Return the user's own keys in the notation of prompt_toolkit, by action.

    Args:
        given: By action, its keys as the user writes them; an empty list takes its
            keys away.

    Raises:
        KeyMapError: There is no such action or key, or a key would do two things.
    """
    overrides: dict[str, tuple[str, ...]] = {}
    for name, texts in given.items():
        action = _BY_NAME.get(name)
        if action is None:
            raise KeyMapError(name, f"there is no action {name!r}{_hint(name)}")
        try:
            overrides[name] = tuple(parse_keys(text) for text in texts)
        except BadKeyError as error:
            raise KeyMapError(name, str(error)) from error
        for keys in overrides[name]:
            if action.when != "select" and is_typing(keys):
                raise KeyMapError(
                    name,
                    f"{format_keys(keys)} is needed for typing: add Ctrl or Alt to it",
                )
    for name in overrides:
        _check_conflicts(_BY_NAME[name], overrides)
    return overrides


def bind(
    actions: Iterable[Action],
    handlers: Mapping[str, "Handler"],
    overrides: Mapping[str, tuple[str, ...]] | None = None,
    places: "Mapping[Place, FilterOrBool] | None" = None,
) -> "KeyBindings":
    """Return the key bindings of actions.

    Args:
        actions: Those to be bound, all of ``ACTIONS`` or a part of it.
        handlers: By the action's name.
        overrides: The user's own keys, as ``check_keys`` returns them.
        places: For each place, whether its actions apply now; without a filter they
            always do.

    Raises:
        LookupError: An action has no handler.
    """
    from prompt_toolkit.key_binding import KeyBindings

    bindings = KeyBindings()
    for action in actions:
        handler = handlers.get(action.name)
        if handler is None:
            raise LookupError(f"there is no handler of the action {action.name!r}")
        where = (places or {}).get(action.when, True)
        for keys in keys_of(action, overrides):
            bindings.add(*keys.split(), filter=where)(handler)
    return bindings


def _check_conflicts(action: Action, overrides: Mapping[str, tuple[str, ...]]) -> None:
    for other in ACTIONS:
        if not _meet(action.when, other.when):
            continue
        for mine in keys_of(action, overrides):
            for theirs in keys_of(other, overrides):
                if other.name != action.name and mine == theirs:
                    raise KeyMapError(
                        action.name,
                        f"{format_keys(mine)} is the key of {other.name!r}: give that "
                        "one another key too, or [] for none",
                    )
                if _begins(mine, theirs) or _begins(theirs, mine):
                    short, long = sorted((mine, theirs), key=len)
                    raise KeyMapError(
                        action.name,
                        f"{format_keys(short)} begins {format_keys(long)} of "
                        f"{other.name!r}, so it cannot be a key alone",
                    )


def _begins(short: str, long: str) -> bool:
    # Esc alone is told from Alt by a timeout.
    return short != "escape" and long.startswith(f"{short} ")


def _meet(one: Place, other: Place) -> bool:
    """Whether actions of both places can apply at once."""
    return one == other or "always" in (one, other) or {one, other} == {"chat", "empty"}


def _hint(name: str) -> str:
    close = difflib.get_close_matches(name.lower(), _BY_NAME, 1, 0.6)
    if close:
        return f": did you mean {close[0]!r}?"
    return ": chat config writes a file that lists them all"
