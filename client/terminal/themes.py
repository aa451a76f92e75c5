"""Colour themes of the full screen: the classes of style, and how each looks.

A fragment names what it is (``class:waiting``), a theme says how that looks. The table
below is complete: a class that is not in it is used nowhere, and ``[colors]`` of
``client.toml`` may change each. Nothing is shown by colour alone: what has a meaning
also has a sign or a place, which the table names.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from client.text.styles import colour_depth

if TYPE_CHECKING:
    from prompt_toolkit.output import ColorDepth
    from prompt_toolkit.styles import Style

ThemeName = Literal["auto", "dark", "light", "16", "none"]
"""The names of the themes; ``auto`` becomes one of the others."""


class StyleClass(Struct, frozen=True):
    """One class of style.

    Attributes:
        name: As in ``class:name``.
        meaning: What is shown in it.
        sign: What shows the same without colour; "" where the style shows nothing that
            the text itself does not.
        dark: Its style on a dark background, as prompt_toolkit writes styles.
        light: On a light background.
        sixteen: Where there are only the terminal's own 16 colours.
        none: Without any colour.
    """

    name: str
    meaning: str
    sign: str
    dark: str
    light: str
    sixteen: str
    none: str


_GREY = ("#949494", "#6c6c6c", "", "")
_BOLD = ("bold", "bold", "bold", "bold")
_RED = ("#ff5f5f", "#d70000", "ansired", "")
_GREEN = ("#5faf5f", "#008700", "ansigreen", "")
_ORANGE = ("#ff8700", "#875f00", "ansiyellow", "")
_FOR_ME = ("bold #ffaf5f", "bold #af5f00", "bold ansiyellow", "bold")
_CHOSEN = ("bg:#303030", "bg:#e4e4e4", "reverse", "reverse")
_BAR = ("bg:#303030", "bg:#e4e4e4", "reverse", "reverse")
# prompt_toolkit has colours of its own here, so both are given.
_PLAIN = "fg:default bg:default"
_MENU = (
    "bg:#303030 #d0d0d0",
    "bg:#e4e4e4 #303030",
    f"{_PLAIN} reverse",
    f"{_PLAIN} reverse",
)
_OFFERED = (
    "noreverse bg:#5f87af #000000",
    "noreverse bg:#005f87 #ffffff",
    f"{_PLAIN} noreverse bold",
    f"{_PLAIN} noreverse bold",
)
_BOX = ("bg:#262626", "bg:#eeeeee", "", "")

_ROWS: tuple[tuple[str, str, str, tuple[str, str, str, str]], ...] = (
    # In every frontend.
    ("time", "when it was written", "", _GREY),
    ("address", "a chat's name", "", _BOLD),
    ("divider", "a line across", "", _GREY),
    ("event", "somebody joined, left, …", "-- before it", _GREY),
    ("notice", "what the program says", "-- before it", _GREY),
    ("mark", "a remark behind a message", "its brackets", _GREY),
    ("mention", "a text with your name in it", "! before it", _FOR_ME),
    ("heading", "a heading", "", _BOLD),
    ("error", "what went wrong", "its words", _RED),
    ("good", "what went well", "its words", _GREEN),
    ("prompt", "the sign before what you type", "", _BOLD),
    ("prompt.offline", "the same, while offline", "(offline)", _ORANGE),
    # Inside a message.
    ("strong", "**strong** text", "", _BOLD),
    ("emphasis", "*emphasised* text", "", ("italic", "italic", "", "underline")),
    ("code", "`code` in a line", "", ("#d7af87", "#875f00", "ansicyan", "")),
    ("code.block", "a block of code", "a bar", ("#d0d0d0", "#303030", "", "")),
    ("code.bar", "the bar beside a block of code", "", _GREY),
    ("code.keyword", "in code: a keyword", "", ("#87afff", "#005fd7", "bold", "bold")),
    ("code.string", "in code: a text", "", ("#87af5f", "#4e6e00", "ansigreen", "")),
    ("code.comment", "in code: a comment", "", _GREY),
    ("code.number", "in code: a number", "", ("#d7875f", "#af5f00", "ansicyan", "")),
    ("code.name", "in code: a name", "", ("#5fd7d7", "#00707a", "", "")),
    ("code.operator", "in code: an operator", "", _GREY),
    ("quote", "> quoted text", "a bar", ("#a8a8a8", "#585858", "", "")),
    (
        "link",
        "a link",
        "it is underlined",
        (
            "underline #5fafff",
            "underline #005fd7",
            "underline ansicyan",
            "underline",
        ),
    ),
    ("at", "an @name", "the @", ("bold", "bold", "bold", "bold")),
    ("at.me", "your own @name", "the @, and ! before it", _FOR_ME),
    # Around a message.
    ("name", "a person's name, over the person's colour", "", _BOLD),
    ("reply", "what a message replies to", "re before it", _GREY),
    ("day", "the line between two days", "its words", _GREY),
    ("new", "the line before what is new", "its words", _RED),
    ("gap", "what is not loaded yet", "its words", _GREY),
    ("folded", "how much of a long message is hidden", "its words", _GREY),
    ("waiting", "your message that is not sent yet", "~ before it", _ORANGE),
    ("failed", "your message that was refused", "x before it", _RED),
    ("receipt", "how far the other person has read", "its words", _GREY),
    ("deleted", "a message that was deleted", "its words", _GREY),
    ("edited", "that a message was changed", "its words", _GREY),
    ("file", "a file's name", "its size beside it", ("bold", "bold", "bold", "bold")),
    ("progress", "how much of a file is through", "its number", _GREEN),
    (
        "match",
        "the word that is searched for",
        "it is reversed or underlined",
        (
            "#000000 bg:#d7af00",
            "#000000 bg:#ffd75f",
            "reverse",
            "reverse",
        ),
    ),
    ("select", "the message that keys act on now", "> before it", _CHOSEN),
    ("marked", "a message that is marked", "* before it", _CHOSEN),
    ("below", "how much is new below", "its words", ("bold", "bold", "bold", "bold")),
    # Around the timeline.
    ("header", "the top line", "", _BAR),
    ("header.topic", "what the room is about", "", ("#a8a8a8", "#585858", "", "")),
    ("border", "the lines between panels", "", _GREY),
    ("sidebar", "the list of chats", "", ("", "", "", "")),
    ("sidebar.current", "the chat that is open", "> before it", _CHOSEN),
    ("sidebar.unread", "a chat with something unread", "* before it", _BOLD),
    ("sidebar.mention", "a chat with something for you", "! before it", _FOR_ME),
    ("sidebar.quiet", "a chat that never notifies", "- before it", _GREY),
    ("people", "the list of people", "", ("", "", "", "")),
    ("people.away", "who is away, busy or offline", "the word", _GREY),
    ("people.role", "owners and moderators", "@ or + before it", _BOLD),
    ("status", "the status line", "", _BAR),
    ("status.offline", "that there is no connection", "its words", _ORANGE),
    ("status.waiting", "what waits in the outbox", "its words", _ORANGE),
    ("status.typing", "who is typing", "its words", ("italic", "italic", "", "")),
    ("status.key", "a key that helps now", "", _BOLD),
    ("composer", "what you type", "", ("", "", "", "")),
    ("selected", "what is selected of it", "it is reversed", ("reverse",) * 4),
    ("composer.reply", "what you reply to", "re before it", _GREY),
    ("composer.hint", "what to type, while nothing is typed", "", _GREY),
    # Over the timeline.
    ("overlay", "a box over the chat", "its frame", _BOX),
    ("overlay.title", "the title of a box", "", _BOLD),
    ("overlay.border", "the frame of a box", "", _GREY),
    ("overlay.current", "the chosen line of a list", "> before it", _CHOSEN),
    ("overlay.match", "what fits what was typed", "", ("bold", "bold", "bold", "bold")),
    ("overlay.hint", "which keys do what in a box", "", _GREY),
    ("completion-menu", "the words that Tab offers", "its place", _MENU),
    (
        "completion-menu.completion.current",
        "the chosen word",
        "it is reversed",
        _OFFERED,
    ),
    (
        "completion-menu.meta.completion",
        "what a word means",
        "",
        ("bg:#303030 #a8a8a8", "bg:#e4e4e4 #585858", *_MENU[2:]),
    ),
    (
        "completion-menu.meta.completion.current",
        "what the chosen word means",
        "it is reversed",
        _OFFERED,
    ),
    (
        "scrollbar.background",
        "a scroll bar",
        "",
        ("bg:#303030", "bg:#e4e4e4", _PLAIN, _PLAIN),
    ),
    (
        "scrollbar.button",
        "where one is in a list",
        "",
        ("bg:#8a8a8a", "bg:#8a8a8a", *_MENU[2:]),
    ),
)

STYLES: dict[str, StyleClass] = {
    name: StyleClass(name, meaning, sign, *looks)
    for name, meaning, sign, looks in _ROWS
}
"""Every class by its name."""


class Theme(Struct, frozen=True):
    """A theme: the style of every class, and the depth of colour.

    Attributes:
        name: dark, light, 16 or none.
        depth: Bits of colour: 1 (none), 4, 8 or 24.
        styles: By class, as prompt_toolkit writes styles.
    """

    name: ThemeName
    depth: int
    styles: dict[str, str]

    def to_style(self) -> "Style":
        """Return the theme as a style of prompt_toolkit."""
        from prompt_toolkit.styles import Style

        return Style.from_dict(self.styles)

    def to_depth(self) -> "ColorDepth":
        """Return the depth of colour as prompt_toolkit's value."""
        from prompt_toolkit.output import ColorDepth

        return {
            1: ColorDepth.DEPTH_1_BIT,
            4: ColorDepth.DEPTH_4_BIT,
            8: ColorDepth.DEPTH_8_BIT,
        }.get(self.depth, ColorDepth.DEPTH_24_BIT)


def make_theme(
    name: ThemeName,
    environment: Mapping[str, str],
    colors: Mapping[str, str] | None = None,
) -> Theme:
    """Return the theme that is asked for, as far as the terminal can show it.

    Args:
        name: The theme that is asked for. ``NO_COLOR`` overrules it.
        environment: Of the process; it tells which colours the terminal has.
        colors: The user's own styles by class, instead of the theme's; checked.
    """
    depth = colour_depth(environment)
    if depth == 24 and _is_screen(environment):
        depth = 8
    if depth == 1:
        name = "none"
    elif name == "auto":
        is_light = has_light_background(environment)
        name = "16" if depth == 4 else "light" if is_light else "dark"
    depth = {"none": 1, "16": 4}.get(name, depth)
    styles = {each.name: _look(each, name) for each in STYLES.values()}
    return Theme(name, depth, {**styles, **(colors or {})})


def _is_screen(environment: Mapping[str, str]) -> bool:
    """Whether it is GNU screen, which takes true colours for something else.

    Its environment describes the terminal around it, which may have them.
    """
    has_screen = environment.get("STY") or environment.get("TERM", "").startswith(
        "screen"
    )
    return bool(has_screen and not environment.get("TMUX"))


def has_light_background(environment: Mapping[str, str]) -> bool:
    """Whether ``COLORFGBG`` says that the terminal's background is light."""
    background = environment.get("COLORFGBG", "").rpartition(";")[2]
    return background in ("7", "15")


def check_style(text: str) -> str:
    """Return a style of prompt_toolkit with single blanks, if it is valid.

    Raises:
        ValueError: A word of it is not known; the text says which.
    """
    for word in text.split():
        if not _is_style_word(word):
            raise ValueError(
                f"{word!r} is no style: write bold, italic, underline, strike or "
                "reverse, a colour such as #ff8700 or ansired, or bg: and a colour"
            )
    return " ".join(text.split())


_ATTRIBUTES = {"bold", "italic", "underline", "strike", "blink", "reverse"}
_WORDS = _ATTRIBUTES | {f"no{word}" for word in _ATTRIBUTES} | {"noinherit"}
_ANSI = {"black", "red", "green", "yellow", "blue", "magenta", "cyan", "gray", "white"}
_BRIGHT = _ANSI - {"gray", "white"}
_COLOURS = {f"ansi{name}" for name in _ANSI} | {f"ansibright{name}" for name in _BRIGHT}
_is_hex = re.compile(r"#(?:[0-9a-fA-F]{3}){1,2}").fullmatch


def _is_style_word(word: str) -> bool:
    if word in _WORDS:
        return True
    colour = re.sub("^[fb]g:", "", word)
    return colour in _COLOURS or colour == "default" or _is_hex(colour) is not None


def _look(style: StyleClass, name: ThemeName) -> str:
    match name:
        case "light":
            return style.light
        case "16":
            return style.sixteen
        case "none":
            return style.none
        case _:
            return style.dark
