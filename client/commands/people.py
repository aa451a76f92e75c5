"""Commands for users and presence: /names, /who, /whois, /away, /back and /status."""

from collections.abc import Iterable

from chatd.protocol.messages import SetStatus, Status, Whois, WhoisReply
from chatd.text.safe import clean, pad, width
from client.commands.context import CommandContext
from client.commands.registry import Group, Registry
from client.commands.workspace import CommandError
from client.text.entries import excerpt
from client.text.styles import Line, colour_of
from client.text.times import format_ago, format_time

_STATUSES: dict[str, Status] = {"online": "online", "away": "away", "busy": "busy"}
_ORDER = ("online", "busy", "away", "offline")

Person = tuple[str, str, str]
"""A user's name, status, and a detail: the role, the text of the status."""

_PEOPLE = Group("People")


@_PEOPLE.command("names", "[#room]", "list who is in the room", "room")
async def _names(context: CommandContext, args: str) -> None:
    workspace = context.workspace
    room = context.here(args)
    await workspace.link.load_members(room)
    chat = workspace.model.chats.get(room)
    members = list((chat.members or {}).values()) if chat else []
    people: list[Person] = []
    for member in members:
        seen = workspace.model.presence.get(member.user)
        role = member.role if member.role != "member" else ""
        detail = " ".join(filter(None, [role, excerpt(seen.text) if seen else ""]))
        people.append((member.user, seen.status if seen else member.status, detail))
    online = sum(1 for _, status, _ in people if status != "offline")
    workspace.say(f"{room}: {_count(len(people))}, {online} of them here")
    workspace.frontend.show(people_lines(people))


@_PEOPLE.command(
    "who", "[#room]", "list who is here, in all your chats or in a room", "room"
)
async def _who(context: CommandContext, args: str) -> None:
    workspace = context.workspace
    if args:
        await _names(context, args)
        return
    people = [
        (name, seen.status, excerpt(seen.text))
        for name, seen in workspace.model.presence.items()
        if seen.status != "offline" and name != workspace.model.me
    ]
    if not people:
        workspace.say("nobody else whom you share a chat with is here")
        return
    workspace.say(f"{_count(len(people))} here, of those you share a chat with:")
    workspace.frontend.show(people_lines(people))


def people_lines(people: Iterable[Person]) -> list[Line]:
    """Return a list of users as lines: online, busy, away, offline, each by name."""

    def rank(person: Person) -> tuple[int, str]:
        status = person[1]
        return _ORDER.index(status) if status in _ORDER else len(_ORDER), person[0]

    ranked = sorted(people, key=rank)
    size = max((width(clean(name)) for name, _, _ in ranked), default=0)
    lines: list[Line] = []
    for name, status, detail in ranked:
        shown = clean(name)
        line: Line = [
            ("", "   "),
            (colour_of(name), shown),
            ("", pad(shown, size)[len(shown) :] + "  "),
            ("class:notice", f"{clean(status)}  {detail}".rstrip()),
        ]
        lines.append(line)
    return lines


@_PEOPLE.command("whois", "@user", "show what is known of a person", "user")
async def _whois(context: CommandContext, args: str) -> None:
    workspace = context.workspace
    if not args and context.current and context.current.startswith("@"):
        args = context.current
    if not args:
        raise CommandError("say who: /whois @bob")
    reply = await workspace.link.request(Whois(user=workspace.find_user(args)))
    if not isinstance(reply, WhoisReply):
        raise CommandError("the server gave no answer that can be understood")
    said = [f"{reply.user}: {reply.status}"]
    if reply.text:
        said.append(f'"{reply.text}"')
    if reply.role != "member":
        said.append(f"{reply.role} of this server")
    if reply.seen is not None and reply.status == "offline":
        said.append(f"last here {format_ago(reply.seen, workspace.now_ms)}")
    if reply.since is not None:
        said.append(f"joined the server on {format_time(reply.since, '%Y-%m-%d')}")
    workspace.say(", ".join(said))


@_PEOPLE.command("away", "[TEXT]", "tell others that you are away, and why", "text")
async def _away(context: CommandContext, args: str) -> None:
    await _set_status(context, "away", args)


@_PEOPLE.command("back", "", "tell others that you are back")
async def _back(context: CommandContext, _: str) -> None:
    await _set_status(context, "online", "")


@_PEOPLE.command(
    "status",
    "online|away|busy [TEXT]",
    "tell others how you are",
    "text",
    words={0: tuple(_STATUSES)},
)
async def _status(context: CommandContext, args: str) -> None:
    word, _, text = args.partition(" ")
    if word not in _STATUSES:
        raise CommandError("say how you are: /status online, away or busy, and a text")
    await _set_status(context, _STATUSES[word], text.strip())


async def _set_status(context: CommandContext, status: Status, text: str) -> None:
    workspace = context.workspace
    if len(text) > 256:
        raise CommandError("the text of a status has at most 256 characters")
    await workspace.link.request(SetStatus(status=status, text=text))
    workspace.say(f"others see you as {status}" + (f": {text}" if text else ""))


def _count(number: int) -> str:
    return "1 person" if number == 1 else f"{number} people"


def register(registry: Registry) -> None:
    """Add the commands of this module."""
    registry.add(*_PEOPLE.commands)
