"""Colours of users: stable, readable on dark and light, none where unsupported."""

import pytest

from client.text.styles import PEOPLE, THEME, colour_depth, colour_of, plain


def luminance(colour: str) -> float:
    def linear(part: int) -> float:
        value = part / 255
        return value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4

    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)


@pytest.mark.parametrize(
    "colour", [*PEOPLE, *(c for c in THEME.values() if c.startswith("#"))]
)
def test_every_colour_is_readable_on_black_and_on_white(colour: str) -> None:
    light = luminance(colour)
    assert 1.05 / (light + 0.05) >= 3.5
    assert (light + 0.05) / 0.05 >= 3.5


def test_a_person_has_the_same_colour_in_every_process() -> None:
    assert colour_of("alice") == "fg:#008787"
    assert colour_of("alice") == colour_of("alice")


def test_people_have_many_different_colours() -> None:
    assert len({colour_of(f"user{n}") for n in range(200)}) == len(PEOPLE)


@pytest.mark.parametrize(
    ("environment", "bits"),
    [
        ({"TERM": "xterm-256color"}, 8),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, 24),
        ({"TERM": "linux"}, 4),
        ({"TERM": "dumb"}, 1),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, 1),
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, 8),
    ],
)
def test_the_environment_says_how_many_colours_there_are(
    environment: dict[str, str], bits: int
) -> None:
    assert colour_depth(environment) == bits


def test_the_text_of_a_line_is_that_of_its_fragments() -> None:
    line = [("class:time", "12:00 "), ("fg:#d70000", "bob"), ("", " hi")]
    assert plain(line) == "12:00 bob hi"
