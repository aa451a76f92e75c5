"""The member list of a room, on the right, as pure functions: present members first."""

from collections.abc import Sequence

from msgspec import Struct

from chatd.text.safe import display, fit, width
from client.model.chat import Chat
from client.model.model import Model
from client.text.styles import Line, colour_of

MIN_CELLS = 14
MAX_CELLS = 24

_ROLE_SIGNS = {"owner": "@", "moderator": "+", "muted": "-"}
_STATUSES = {"online": 0, "busy": 1, "away": 2}


class Person(Struct, frozen=True):
    """A member of a room; the status is offline, online, away or busy."""

    name: str
    role: str
    status: str


def people_of(model: Model, chat: Chat | None) -> list[Person]:
    """Return the members of a room by status, then by name; [] for other chats.

    Members and roles come from the list that was fetched; presence pushes since then
    replace the statuses in it.
    """
    if chat is None or chat.is_direct or chat.members is None:
        return []
    people = []
    for member in chat.members.values():
        heard = model.presence.get(member.user)
        status = heard.status if heard is not None else member.status
        if member.user == model.me:
            status = "online" if status == "offline" else status
        people.append(Person(member.user, member.role, status))
    return sorted(people, key=lambda p: (_STATUSES.get(p.status, 3), p.name))


def count_present(people: Sequence[Person]) -> int:
    """Return how many members are not offline."""
    return sum(person.status != "offline" for person in people)


def people_cells(people: Sequence[Person]) -> int:
    """Return the preferred width of the list: its longest row, within bounds."""
    longest = max((width(_text(person)) for person in people), default=0)
    return min(MAX_CELLS, max(MIN_CELLS, longest + 2))


def people_rows(people: Sequence[Person], cells: int, height: int) -> list[Line]:
    """Return a row for each member, as many as fit; the last says how many more."""
    shown = people
    if len(people) > height > 0:
        shown = people[: height - 1]
    rows = [_row(person, cells) for person in shown]
    if len(shown) < len(people):
        more = f" {len(people) - len(shown)} more: /members"
        rows.append([("class:people.away", fit(more, cells))])
    return rows


def _row(person: Person, cells: int) -> Line:
    sign = _ROLE_SIGNS.get(person.role, " ")
    size = max(0, cells - 1)
    text = _text(person)[1:]
    text = fit(text, min(width(text), size))
    style = "class:people.away"
    if person.status == "online":
        style = colour_of(person.name)
    # All spaces have one style, so that they are not sent again where rows move.
    role = "class:people.role" if sign != " " else ""
    return [(role, sign), (style, text), ("", " " * (size - width(text)))]


def _text(person: Person) -> str:
    sign = _ROLE_SIGNS.get(person.role, " ")
    away = "" if person.status == "online" else f" ({person.status})"
    return f"{sign}{display(person.name)}{away}"
