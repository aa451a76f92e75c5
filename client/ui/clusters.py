"""What one types, as it is shown and moved over: characters as people see them.

A full screen counts cells per code point, terminals per cluster, so the composer shows
a form in which both agree, and remembers which code point stands where. What is typed
and sent stays untouched. One press of Left, Right, Backspace or Delete takes a whole
cluster: an emoji of five code points goes at once.
"""

import re
from bisect import bisect_right
from functools import lru_cache
from itertools import islice

import wcwidth
from prompt_toolkit.filters import has_selection
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.formatted_text.utils import fragment_list_to_text
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout.processors import (
    Processor,
    Transformation,
    TransformationInput,
)

from client.text import cells, display, width

_is_plain = re.compile(r"[ -~]*").fullmatch

_MAX_CLUSTER = 256
"""Clusters of more code points go in several presses."""

Places = tuple[int, ...]
"""By index in the text, and at its end, where in the shown text it stands."""


class DisplayForm(Processor):
    """Shows lines in a form whose width does not depend on who counts."""

    def apply_transformation(
        self, transformation_input: TransformationInput
    ) -> Transformation:
        """Return a line in that form."""
        fragments = transformation_input.fragments
        text = fragment_list_to_text(fragments)
        if _is_plain(text):
            return Transformation(fragments)
        shown, places = shown_form(text)
        style = fragments[0][0] if fragments else ""
        line: StyleAndTextTuples = [(style, shown)]

        def to_shown(index: int) -> int:
            return places[min(index, len(places) - 1)]

        def to_source(index: int) -> int:
            return max(0, bisect_right(places, index) - 1)

        return Transformation(line, to_shown, to_source)


@lru_cache(maxsize=64)
def shown_form(text: str) -> tuple[str, Places]:
    """Return how one line of a text is shown, and where each code point stands then."""
    clusters = list(wcwidth.iter_graphemes(text))
    forms = [_form(cluster) for cluster in clusters]
    if not _is_agreed("".join(forms)):
        # Some that are harmless alone join with their neighbours.
        forms = [form if form.isascii() else "?" * width(form) for form in forms]
    places: list[int] = []
    at = 0
    for cluster, form in zip(clusters, forms, strict=True):
        places += [at] * len(cluster)
        at += len(form)
    return "".join(forms), (*places, at)


@lru_cache(maxsize=4_096)
def _form(cluster: str) -> str:
    return display(cluster)


def cluster_before(text: str, cursor: int) -> int:
    """Return how many code points the cluster before the cursor has, 0 at the start."""
    near = text[max(0, cursor - _MAX_CLUSTER) : cursor]
    return len(near) - wcwidth.grapheme_boundary_before(near, len(near)) if near else 0


def cluster_after(text: str, cursor: int) -> int:
    """Return how many code points the cluster behind the cursor has, 0 at the end."""
    return sum(len(c) for c in islice(wcwidth.iter_graphemes(text, cursor), 1))


def cluster_bindings() -> KeyBindings:
    """Return the keys that move by, and delete, whole clusters."""
    keys = KeyBindings()
    keys.add("left", filter=~has_selection)(_left)
    keys.add("right", filter=~has_selection)(_right)
    keys.add("backspace", filter=~has_selection)(_backspace)
    keys.add("delete", filter=~has_selection)(_delete)
    return keys


def _left(event: KeyPressEvent) -> None:
    buffer = event.current_buffer
    buffer.cursor_position -= cluster_before(buffer.text, buffer.cursor_position)


def _right(event: KeyPressEvent) -> None:
    buffer = event.current_buffer
    buffer.cursor_position += cluster_after(buffer.text, buffer.cursor_position)


def _backspace(event: KeyPressEvent) -> None:
    buffer = event.current_buffer
    count = cluster_before(buffer.text, buffer.cursor_position)
    if count:
        buffer.delete_before_cursor(count)


def _delete(event: KeyPressEvent) -> None:
    buffer = event.current_buffer
    count = cluster_after(buffer.text, buffer.cursor_position)
    if count:
        buffer.delete(count)


def _is_agreed(text: str) -> bool:
    return cells(text) == width(text)
