"""Fuzzy search of names by a few letters."""

from hypothesis import given
from hypothesis import strategies as st

from client.ui.dialogs.fuzzy import MAX_FOUND, find

NAMES = ["#general", "#ops", "#dev-ops", "@oscar", "@poppy", "#deploys"]


def names(typed: str, among: list[str] = NAMES) -> list[str]:
    return [found.name for found in find(typed, among)]


def test_nothing_typed_finds_all_in_their_order() -> None:
    assert names("") == NAMES


def test_a_whole_name_is_better_than_a_part_of_one() -> None:
    assert names("ops")[:2] == ["#ops", "#dev-ops"]


def test_letters_may_be_apart_but_not_out_of_order() -> None:
    assert names("dvo") == ["#dev-ops"]
    assert names("ovd") == []


def test_upper_and_lower_case_are_the_same() -> None:
    assert names("OsC") == ["@oscar"]


def test_it_says_which_letters_fit() -> None:
    found = find("dvo", NAMES)[0]
    assert "".join(found.name[i] for i in found.at) == "dvo"


def test_the_number_of_finds_is_bounded() -> None:
    assert len(names("x", [f"x{n}" for n in range(5_000)])) == MAX_FOUND


@given(st.text(max_size=8), st.lists(st.text(max_size=20), max_size=20))
def test_whatever_is_found_has_the_letters_in_order(
    typed: str, among: list[str]
) -> None:
    wanted = "".join(typed.lower().split())
    for found in find(typed, among):
        assert list(found.at) == sorted(set(found.at))
        assert "".join(found.name.lower()[i] for i in found.at) == wanted
