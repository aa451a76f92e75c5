"""Wrapping of styled text: never too wide by either measure, and nothing is lost."""

import unicodedata

import pytest
import wcwidth
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.utils import get_cwidth

from chatd.text.safe import display
from client.text.wrapping import Piece, Row, clip, cut_pieces, wrap_pieces

ANY_TEXT = st.text(st.characters(exclude_categories=[]))
HARD_TEXT = st.text(
    st.sampled_from(
        "ab  1*`_‍️⃣👩👍🏽❤🇯🇵🏴\U000e0067\U000e007f क्षिीநிকৗกำ가각각ᄀ\u0301\u05bcשלام"
        "\u0600\u200c\u200e\u202e\u2028\x1b\x9b\x7f\u3164漢字、。ｶﾞﾞ\ufe0e\u200d\u094d\u0bcd\u102c\u17b6\xa0"
    ),
    max_size=120,
)
SIZES = st.integers(2, 30)


def line(text: str) -> str:
    return display(text)


def pieces_of(text: str, cuts: list[int]) -> list[Piece]:
    """Split a text into pieces that begin at these offsets."""
    places = sorted({0, *(cut % (len(text) + 1) for cut in cuts), len(text)})
    return [
        Piece(f"class:{i}", text[a:b])
        for i, (a, b) in enumerate(zip(places, places[1:], strict=False))
    ]


def plain(row: Row) -> str:
    return "".join(piece.text for piece in row)


def letters(text: str) -> str:
    """Return what must not be lost: all but blanks and combining characters."""
    return "".join(c for c in text if is_letter(c))


def is_letter(char: str) -> bool:
    stands_alone = len(list(wcwidth.iter_graphemes(f"a{char}"))) == 2
    is_shown = unicodedata.category(char)[0] not in "MC" and not char.isspace()
    return stands_alone and is_shown and char != "◌"


def is_within(wanted: str, text: str) -> bool:
    """Return whether all characters are there, in their order."""
    rest = iter(text)
    return all(char in rest for char in wanted)


@given(ANY_TEXT | HARD_TEXT, st.lists(st.integers(0, 200)), SIZES)
def test_no_row_is_wider_than_allowed_whoever_counts(
    text: str, cuts: list[int], size: int
) -> None:
    pieces = pieces_of(line(text), cuts)
    for row in [*wrap_pieces(pieces, size), *cut_pieces(pieces, size)]:
        assert get_cwidth(plain(row)) == wcwidth.width(plain(row)) <= size


@given(ANY_TEXT | HARD_TEXT, SIZES, st.integers(8, 30))
def test_the_first_row_may_be_narrower(text: str, more: int, first: int) -> None:
    rows = list(wrap_pieces([Piece("", line(text))], first + more, first))
    assert get_cwidth(plain(rows[0])) <= first
    assert all(get_cwidth(plain(row)) <= first + more for row in rows[1:])


@given(ANY_TEXT | HARD_TEXT, st.lists(st.integers(0, 200)), SIZES)
def test_nothing_is_lost_but_blanks(text: str, cuts: list[int], size: int) -> None:
    shown = line(text)
    pieces = pieces_of(shown, cuts)
    for rows in (wrap_pieces(pieces, size), cut_pieces(pieces, size)):
        assert is_within(letters(shown), "".join(map(plain, rows)))


@given(st.text(" abcdefgh", max_size=200), SIZES)
def test_code_keeps_its_blanks(text: str, size: int) -> None:
    assert "".join(map(plain, cut_pieces([Piece("", text)], size))) == text


@given(HARD_TEXT, st.lists(st.integers(0, 200)), SIZES)
def test_each_letter_keeps_its_style(text: str, cuts: list[int], size: int) -> None:
    pieces = pieces_of(line(text), cuts)
    wanted = {p.style: letters(p.text) for p in pieces if letters(p.text)}
    found: dict[str, str] = {}
    for row in wrap_pieces(pieces, size):
        for piece in row:
            found[piece.style] = found.get(piece.style, "") + letters(piece.text)
    assert all(is_within(text, found[style]) for style, text in wanted.items())


@given(st.lists(st.text("abc", min_size=1, max_size=8), max_size=30))
def test_words_that_fit_are_not_broken(words: list[str]) -> None:
    rows = wrap_pieces([Piece("", " ".join(words))], 8)
    assert " ".join(map(plain, rows)).split() == words


LINK = "https://example.org/a/b?c=d"


@pytest.mark.parametrize("before", ["", "x", "see it at", "a b c d e f g h i j"])
def test_a_link_that_fits_into_a_row_is_whole(before: str) -> None:
    pieces = [Piece("", before), Piece("class:link", LINK, LINK), Piece("", "!")]
    rows = list(wrap_pieces(pieces, len(LINK)))
    assert [row for row in rows if Piece("class:link", LINK, LINK) in row]


def test_each_part_of_a_link_that_is_too_long_knows_the_whole() -> None:
    rows = list(wrap_pieces([Piece("", "at "), Piece("class:link", LINK, LINK)], 10))
    parts = [piece for row in rows for piece in row if piece.link]
    assert "".join(part.text for part in parts) == LINK
    assert {part.link for part in parts} == {LINK}
    assert plain(rows[0]) == "at"


def wrapped(text: str, size: int, first: int | None = None) -> list[str]:
    return [plain(row) for row in wrap_pieces([Piece("", text)], size, first)]


@pytest.mark.parametrize(
    ("text", "size", "rows"),
    [
        ("", 5, [""]),
        ("one two three", 8, ["one two", "three"]),
        ("  indented line", 12, ["  indented", "line"]),
        ("   " * 20, 6, ["   "]),
        ("a     b", 4, ["a", "b"]),
        ("abcdefghijkl", 5, ["abcde", "fghij", "kl"]),
        ("漢字かな交じり", 6, ["漢字か", "な交じ", "り"]),
        ("ok 漢字、かな", 7, ["ok 漢", "字、か", "な"]),
        ("e\u0301" * 4, 2, ["e\u0301" * 2] * 2),
        (display("कीकीकी"), 3, [display("की")] * 3),
    ],
)
def test_a_line_is_broken_where_people_would(
    text: str, size: int, rows: list[str]
) -> None:
    assert wrapped(text, size) == rows


def test_a_word_moves_below_what_stands_before_the_first_row() -> None:
    assert wrapped("abcdefghijkl", 12, 8) == ["", "abcdefghijkl"]
    assert wrapped("ab abcdefghijkl", 12, 8) == ["ab", "abcdefghijkl"]


@given(HARD_TEXT, st.integers(0, 40))
def test_a_clipped_row_is_a_beginning_of_it(text: str, size: int) -> None:
    shown = line(text)
    row = plain(clip([Piece("", shown)], size))
    assert shown.startswith(row)
    assert get_cwidth(row) <= size
