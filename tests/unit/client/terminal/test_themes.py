"""Themes: complete, readable, and no meaning carried by colour alone."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Style, default_ui_style, merge_styles

from client.terminal.themes import (
    STYLES,
    ThemeName,
    check_style,
    has_light_background,
    make_theme,
)
from client.text.styles import THEME
from tests import ROOT

CLIENT = ROOT / "client"
XTERM = {"TERM": "xterm-256color"}
NAMES: list[ThemeName] = ["dark", "light", "16", "none"]


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
        p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_every_class_that_the_client_uses_is_in_the_table() -> None:
    used = {
        name
        for path in CLIENT.rglob("*.py")
        for name in re.findall(r"class:([\w.-]*\w)(?![\w.{-])", path.read_text("utf-8"))
    }
    assert used <= set(STYLES)


def test_the_line_mode_uses_no_class_that_the_full_screen_does_not_know() -> None:
    assert set(THEME) <= set(STYLES)


@pytest.mark.parametrize("name", NAMES)
def test_every_theme_has_every_class_and_is_understood(name: ThemeName) -> None:
    theme = make_theme(name, XTERM)
    assert set(theme.styles) == set(STYLES)
    for style in theme.styles.values():
        assert check_style(style) == style
    theme.to_style()


@pytest.mark.parametrize(
    ("name", "background"), [("dark", "#1c1c1c"), ("light", "#ffffff")]
)
def test_text_can_be_read_on_its_background(name: ThemeName, background: str) -> None:
    theme = make_theme(name, XTERM)
    style = merge_styles([default_ui_style(), theme.to_style()])
    for cls in set(theme.styles) - {"scrollbar.background", "scrollbar.button"}:
        attrs = style.get_attrs_for_style_str(f"class:{cls}")
        text = f"#{attrs.color}" if attrs.color else "#d0d0d0"
        if not attrs.color and name == "light":
            text = "#303030"
        behind = f"#{attrs.bgcolor}" if attrs.bgcolor else background
        assert contrast(text, behind) >= 4.5, cls


@pytest.mark.parametrize("name", ["16", "none"])
def test_themes_of_few_colours_keep_none_of_prompt_toolkits_own(
    name: ThemeName,
) -> None:
    theme = make_theme(name, XTERM)
    style = merge_styles([default_ui_style(), theme.to_style()])
    for cls in theme.styles:
        attrs = style.get_attrs_for_style_str(f"class:{cls}")
        for colour in (attrs.color, attrs.bgcolor):
            assert colour in ("", "default", None) or "ansi" in colour, cls


@pytest.mark.parametrize("name", ["16", "none"])
def test_themes_of_few_colours_name_none_that_a_terminal_may_lack(
    name: ThemeName,
) -> None:
    styles = make_theme(name, XTERM).styles.values()
    assert not any("#" in style for style in styles)
    if name == "none":
        assert not any("ansi" in style for style in styles)


def test_what_is_said_in_colour_is_said_by_a_sign_as_well() -> None:
    without = make_theme("none", XTERM).styles
    for style in STYLES.values():
        grey = make_theme("dark", XTERM).styles["notice"]
        is_coloured = style.dark not in ("", grey, "bold", "italic")
        is_quiet = style.name.startswith(("code", "quote", "header", "overlay"))
        if is_coloured and not is_quiet and not style.name.startswith("scrollbar"):
            assert style.sign or without[style.name], style.name


@pytest.mark.parametrize(
    "name", ["sidebar.current", "overlay.current", "select", "match"]
)
def test_what_is_chosen_shows_without_colours(name: str) -> None:
    assert "reverse" in make_theme("none", XTERM).styles[name]


@pytest.mark.parametrize(
    ("wanted", "environment", "name", "depth"),
    [
        ("auto", XTERM, "dark", 8),
        ("auto", {**XTERM, "COLORFGBG": "0;15"}, "light", 8),
        ("auto", {**XTERM, "COLORFGBG": "15;default;0"}, "dark", 8),
        ("auto", {**XTERM, "COLORTERM": "truecolor"}, "dark", 24),
        ("dark", {"TERM": "screen", "COLORTERM": "truecolor"}, "dark", 8),
        ("dark", {**XTERM, "STY": "1.x", "COLORTERM": "truecolor"}, "dark", 8),
        ("dark", {**XTERM, "TMUX": "x", "COLORTERM": "truecolor"}, "dark", 24),
        ("auto", {"TERM": "linux"}, "16", 4),
        ("auto", {**XTERM, "NO_COLOR": "1"}, "none", 1),
        ("light", {**XTERM, "NO_COLOR": "1"}, "none", 1),
        ("light", XTERM, "light", 8),
        ("dark", {"TERM": "linux"}, "dark", 4),
        ("16", {**XTERM, "COLORTERM": "truecolor"}, "16", 4),
        ("none", XTERM, "none", 1),
        ("auto", {"TERM": "dumb"}, "none", 1),
    ],
)
def test_the_theme_follows_the_wish_and_the_terminal(
    wanted: ThemeName, environment: dict[str, str], name: str, depth: int
) -> None:
    theme = make_theme(wanted, environment)
    assert (theme.name, theme.depth) == (name, depth)


def test_the_depth_is_that_of_prompt_toolkit() -> None:
    assert make_theme("none", XTERM).to_depth() is ColorDepth.DEPTH_1_BIT
    assert make_theme("16", XTERM).to_depth() is ColorDepth.DEPTH_4_BIT
    assert make_theme("dark", XTERM).to_depth() is ColorDepth.DEPTH_8_BIT
    true = {**XTERM, "COLORTERM": "truecolor"}
    assert make_theme("dark", true).to_depth() is ColorDepth.DEPTH_24_BIT


def test_ones_own_styles_count_instead_of_the_themes() -> None:
    theme = make_theme("dark", XTERM, {"time": "bold"})
    assert theme.styles["time"] == "bold"
    assert theme.to_style().get_attrs_for_style_str("class:time").bold


def test_a_light_background_is_known_only_where_the_terminal_says_so() -> None:
    assert has_light_background({"COLORFGBG": "0;7"})
    assert not has_light_background({})


@pytest.mark.parametrize("style", ["orange", "bg:", "boldd", "#12", "#1234567", "fg:x"])
def test_a_style_that_means_nothing_is_refused(style: str) -> None:
    with pytest.raises(ValueError, match="is no style"):
        check_style(style)


WORDS = "bold noitalic underline #abc #ABCDEF bg:#000 fg:ansired ansibrightblue default"


@given(st.lists(st.sampled_from(WORDS.split())))
def test_a_style_that_is_taken_is_understood_by_prompt_toolkit(
    words: list[str],
) -> None:
    Style.from_dict({"x": check_style("  ".join(words))})
