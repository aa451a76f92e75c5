"""Smoke test of the script that draws the README's picture."""

from xml.etree import ElementTree

import pytest

from tests.picture import PICTURE, make_picture

pytestmark = pytest.mark.system

_SVG = "{http://www.w3.org/2000/svg}"


async def test_the_picture_shows_a_conversation_and_nothing_from_elsewhere() -> None:
    drawn = await make_picture()
    root = ElementTree.fromstring(drawn)
    said = [text.text or "" for text in root.iter(f"{_SVG}text")]
    for wanted in ("Deploy freeze", "lab3-disk.csv", "new (3)", "dave is typing"):
        assert any(wanted in text for text in said), wanted
    tags = {element.tag.removeprefix(_SVG) for element in root.iter()}
    assert tags == {"svg", "title", "style", "rect", "text"}
    assert "href" not in drawn
    assert "url(" not in drawn


def test_the_picture_is_in_the_repository() -> None:
    root = ElementTree.fromstring(PICTURE.read_text(encoding="utf-8"))
    assert root.tag == f"{_SVG}svg"
