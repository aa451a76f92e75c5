"""Formatting of files and transfers: sizes, types, progress and outcomes as text.

Everything comes out clean (``chatd.text.safe``), also names and reasons from others.
"""

import contextlib
import mimetypes
from collections.abc import Sequence
from pathlib import Path

from chatd.protocol.messages import FileInfo, FileItem
from chatd.text.safe import clean, display, fit, pad, signs_of, width
from client.model.entries import Transfer

MAX_SHOWN = 3
"""How many transfers are shown at once above the prompt."""

MAX_LEFT_SECONDS = 100 * 86_400
"""With more time left than this, a transfer is shown as not moving."""

MAX_TYPE_CELLS = 30
NAME_CELLS = 36

_MIN_BAR_CELLS = 12
_MIN_NAME_CELLS = 8
_MAX_BAR_CELLS = 30
_WIDE = 60
_TAIL_CELLS = 32
_UNITS = ("kB", "MB", "GB", "TB", "PB")
_SPANS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def size_text(size: int) -> str:
    """Return a number of bytes in decimal units: 999 bytes, 1.2 GB, 734 MB."""
    if size < 1_000:
        return "1 byte" if size == 1 else f"{size} bytes"
    value = float(size)
    for unit in _UNITS:
        value /= 1_000
        if value < 9.95:
            return f"{value:.1f} {unit}"
        if value < 999.5 or unit == _UNITS[-1]:
            break
    return f"{value:.0f} {unit}"


def rate_text(rate: float) -> str:
    """Return bytes per second, in at most 8 cells up to 999 PB/s."""
    return f"{size_text(max(1_000, round(rate)))}/s"


def span_text(seconds: float) -> str:
    """Return a span of time in at most two units: 8 s, 3 min, 1 h 20 min, 2 d 3 h."""
    left = round(seconds)
    if left < 60:
        return f"{left} s"
    for index, (length, unit) in enumerate(_SPANS):
        if left >= length:
            said = f"{left // length} {unit}"
            if length > 60:
                below, name = _SPANS[index + 1]
                rest = left % length // below
                said += f" {rest} {name}" if rest else ""
            return said
    raise AssertionError


def type_of(name: str) -> str:
    """Return the type that a file's name suggests, such as text/plain, or ""."""
    # Without a folder before it, a name with a colon would be taken for a URL.
    kind, encoding = mimetypes.guess_type(f"./{name}")
    found = f"application/{encoding}" if encoding else kind or ""
    return found if len(found) <= MAX_TYPE_CELLS else ""


def file_text(info: FileInfo) -> str:
    """Return the name, size and type of a file on one line."""
    parts = (clean(info.name), size_text(info.size), type_of(info.name))
    return "  ".join(filter(None, parts))


def path_text(path: Path) -> str:
    """Return a path with ``~`` for the user's home folder."""
    # Unless it is elsewhere, or there is no home folder.
    with contextlib.suppress(ValueError, RuntimeError):
        path = Path("~") / path.relative_to(Path.home())
    return clean(str(path))


def file_rows(items: Sequence[FileItem], ages: Sequence[str]) -> list[str]:
    """Return files as rows: number, name, size, sender and age, in columns.

    Args:
        items: The files.
        ages: How old each is, in words.
    """
    numbers = [str(item.seq) for item in items]
    names = [_short(clean(item.file.name), NAME_CELLS) for item in items]
    sizes = [size_text(item.file.size) for item in items]
    senders = [clean(item.from_) for item in items]
    wide = [max(map(width, column), default=0) for column in (numbers, names, senders)]
    return [
        f"{number:>{wide[0]}}  {pad(name, wide[1])}  {size:>9}  {pad(who, wide[2])}  "
        f"{age}"
        for number, name, size, who, age in zip(
            numbers, names, sizes, senders, ages, strict=True
        )
    ]


# Transfers ----------------------------------------------------------------------------


def transfer_title(transfer: Transfer) -> str:
    """Return a file and its chat: ``core.tar to #ops``, ``core.tar from @bob``."""
    way = "to" if transfer.direction == "up" else "from"
    return f"{clean(transfer.name)} {way} {clean(transfer.chat)}"


def percent(transfer: Transfer) -> int:
    """Return the percentage that was moved, rounded down: 100 only for all of it."""
    if transfer.size <= 0:
        return 100
    return min(100, transfer.moved * 100 // transfer.size)


def progress_line(transfer: Transfer, columns: int, title_cells: int = 0) -> str:
    """Return a transfer under way on one line: a bar, percent, rate and time left.

    The line is narrower than ``columns``; what does not fit is left out. It is in the
    display form (``chatd.text.safe``).

    Args:
        transfer: One that is not over.
        columns: The width of the terminal.
        title_cells: The width of the title where there is space for it.
    """
    space = max(1, columns - 1)
    if _is_held_up(transfer) or _is_endless(transfer):
        title = transfer_title(transfer)
        doing = transfer_text(transfer)[len(title) :]
        title = _cut_title(transfer, max(space // 2, space - width(doing)))
        return fit(display(title + doing), space).rstrip()
    title_cells = max(title_cells, width(transfer_title(transfer)))
    tail = "  ".join([f"{percent(transfer):>3} %", *_pace(transfer)])
    is_wide = space >= _WIDE
    if is_wide:
        # Padded, so that the bar does not jump as the words change.
        tail = tail.ljust(_TAIL_CELLS)
    elif space < len(tail) + 2 + min(title_cells, 20):
        # Rate and time left matter more than the chat, and more than a bar.
        name_cells = space - len(tail) - 2
        if name_cells >= _MIN_NAME_CELLS:
            name = display(_short(clean(transfer.name), name_cells))
            return fit(f"{name}  {tail}", space).rstrip()
        tail = tail[:5]
    beside = len(tail) + (4 + _MIN_BAR_CELLS if is_wide else 2)
    title_cells = max(1, min(title_cells, space - beside))
    title = pad(display(_cut_title(transfer, title_cells)), title_cells)
    bar = min(_MAX_BAR_CELLS, space - title_cells - len(tail) - 4)
    parts = [title, _bar(transfer, bar) if bar >= _MIN_BAR_CELLS else "", tail]
    return fit("  ".join(filter(None, parts)), space).rstrip()


def progress_text(transfer: Transfer, columns: int) -> str:
    """Return ``progress_line`` as text to be written to a terminal unchanged."""
    return signs_of(progress_line(transfer, columns))


def progress_rows(transfers: Sequence[Transfer], columns: int) -> list[str]:
    """Return a few of the transfers that are under way, each on one line.

    Those that move come first; those left out are counted in a last line. Rows are in
    the display form (``chatd.text.safe``).
    """
    under_way = [transfer for transfer in transfers if not transfer.is_over]
    shown = sorted(under_way, key=_is_held_up)[:MAX_SHOWN]
    moving = [each for each in shown if not _is_held_up(each)]
    cells = max((width(transfer_title(each)) for each in moving), default=0)
    rows = [progress_line(each, columns, cells) for each in shown]
    if len(under_way) > MAX_SHOWN:
        more = f"and {len(under_way) - MAX_SHOWN} more: /transfers"
        rows.append(fit(more, max(1, columns - 1)).rstrip())
    return rows


def transfer_text(transfer: Transfer) -> str:
    """Return the state of a transfer in words, for a list."""
    if transfer.is_over:
        return outcome_text(transfer)
    title = transfer_title(transfer)
    if _is_held_up(transfer):
        done = f"{percent(transfer)} %, " if transfer.moved else ""
        return f"{title}  {done}waits: {clean(transfer.reason or '')}"
    if _is_endless(transfer):
        return f"{title}  {size_text(transfer.moved)} read so far"
    done = f"{percent(transfer)} % of {size_text(transfer.size)}"
    pace = [part.strip() for part in _pace(transfer)]
    return f"{title}  {', '.join([done, *pace])}"


def outcome_text(transfer: Transfer) -> str:
    """Return the outcome of a transfer that is over, as a sentence."""
    name, chat = clean(transfer.name), clean(transfer.chat)
    is_up = transfer.direction == "up"
    if transfer.state == "done":
        if is_up:
            return f"{name} was sent to {chat}"
        where = path_text(transfer.path) if transfer.path else name
        return f"saved to {where}"
    if transfer.code == "taken":
        return f"{name}: another chat of yours goes on with it"
    if transfer.state == "cancelled":
        return f"{name} to {chat} was cancelled" if is_up else f"{name} was cancelled"
    what = f"{name} was not sent to {chat}" if is_up else f"{name} was not fetched"
    return f"{what}: {clean(transfer.reason or 'it failed')}"


def _short(name: str, size: int) -> str:
    """Return a clean file name cut to ``size`` cells so that its extension is kept."""
    if width(name) <= size:
        return name
    ending = Path(name).suffix
    if width(ending) > size // 2:
        return fit(name, max(1, size)).rstrip()
    return fit(name, size - width(ending)).rstrip() + ending


def _cut_title(transfer: Transfer, size: int) -> str:
    title = transfer_title(transfer)
    name = clean(transfer.name)
    where = title[len(name) :]
    if width(title) <= size:
        return title
    if width(where) + 8 > size:
        return fit(title, size).rstrip()
    return _short(name, size - width(where)) + where


def _is_held_up(transfer: Transfer) -> bool:
    """Whether it waits for something, as opposed to being just about to go on."""
    return transfer.state == "waiting" and bool(transfer.reason)


def _is_endless(transfer: Transfer) -> bool:
    """Whether it is copied from a stream, whose length is not known."""
    return transfer.state == "checking" and transfer.moved >= transfer.size


def _pace(transfer: Transfer) -> list[str]:
    if transfer.state == "checking":
        return ["being read"]
    left = transfer.seconds_left
    if left is None or left > MAX_LEFT_SECONDS:
        return []
    return [f"{rate_text(transfer.rate):>8}", f"{span_text(left)} left"]


def _bar(transfer: Transfer, size: int) -> str:
    inner = size - 2
    filled = inner * percent(transfer) // 100
    head = ">" if 0 < filled < inner else ""
    return f"[{('=' * (filled - len(head)) + head).ljust(inner)}]"
