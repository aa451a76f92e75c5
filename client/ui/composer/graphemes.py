"""Grapheme clusters in the composer: how they are shown, moved over and deleted.

A full screen counts cells per code point, terminals per cluster, so the composer shows
a form in which both agree, and maps each code point to its place in it. The text itself
stays unchanged. One press of Left, Right, Backspace or Delete acts on a whole cluster:
an emoji of five code points is deleted at once.
"""

from functools import lru_cache
from itertools import islice

import wcwidth
from prompt_toolkit.filters import has_selection
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from chatd.text.safe import display, is_mark, is_open

_MAX_CLUSTER = 256
"""Clusters of more code points take several key presses."""

_ZWNJ = "\N{ZERO WIDTH NON-JOINER}"

Places = tuple[int, ...]
"""The offset in the shown text for each index in the text, and for its end."""


def shown_form(text: str) -> tuple[str, Places]:
    """Return a line of a text as it is shown, and where each code point is in that."""
    shown: list[str] = []
    places: list[int] = []
    at = 0
    before = form_before = ""  # what may be counted together with the next cluster
    for cluster in wcwidth.iter_graphemes(text):
        form = _form(cluster)
        if before and len(before) < _MAX_CLUSTER and _belongs(form_before, cluster):
            whole = display(before + cluster)
            form = whole.removeprefix(form_before)
            before, form_before = before + cluster, whole
        else:
            is_apart = is_open(form_before)
            before, form_before = cluster, form
            form = f"{_ZWNJ}{form}" if is_apart else form
        places += [at] * len(cluster)
        at += len(form)
        shown.append(form)
    return "".join(shown), (*places, at)


def _belongs(form: str, cluster: str) -> bool:
    """Whether a cluster is counted together with the one before, shown as ``form``."""
    return is_mark(cluster[0]) or is_open(form)


@lru_cache(maxsize=4_096)
def _form(cluster: str) -> str:
    return display(cluster)


def cluster_before(text: str, cursor: int) -> int:
    """Return how many code points the cluster before the cursor has, 0 at the start."""
    near = text[max(0, cursor - _MAX_CLUSTER) : cursor]
    return len(near) - wcwidth.grapheme_boundary_before(near, len(near)) if near else 0


def cluster_after(text: str, cursor: int) -> int:
    """Return how many code points the cluster after the cursor has, 0 at the end."""
    return sum(len(c) for c in islice(wcwidth.iter_graphemes(text, cursor), 1))


def cluster_bindings() -> KeyBindings:
    """Return the key bindings that move by, and delete, whole clusters."""
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
