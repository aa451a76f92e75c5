"""Commands for chats and rooms: /join, /switch, /msg, /history, /read and more."""

from chatd.protocol.errors import NoSuchRoomError
from chatd.protocol.messages import (
    Create,
    Decline,
    Invite,
    Join,
    Joined,
    Leave,
    Request,
    RoomInfo,
    Rooms,
    RoomsPage,
    Topic,
    Visibility,
)
from chatd.text.safe import clean, pad, width
from client.commands.context import CommandContext
from client.commands.registry import Group, Registry
from client.commands.workspace import CommandError, Workspace
from client.model.chat import Chat
from client.model.entries import Entry
from client.text.entries import excerpt, gist
from client.text.styles import Line

MAX_ROOMS = 1_000
MAX_HISTORY = 1_000

_CHATS = Group("Chats")
_ROOMS = Group("Rooms")


@_CHATS.command(
    "join", "[#room]", "enter a room, or accept the invitation to it", "new_room"
)
async def _join(context: CommandContext, args: str) -> None:
    workspace = context.workspace
    room = workspace.find_room(args.split()[0]) if args else _invited(context)
    if room not in workspace.model.chats:
        try:
            await _request_join(context, Join(room=room))
        except NoSuchRoomError:
            raise CommandError(
                f"there is no room {room}: /create {room} makes it"
            ) from None
    context.switch(room)


@_CHATS.command(
    "query",
    "@user",
    "open the chat with a person",
    "user",
    more="@ and your own name is for notes to yourself.",
)
async def _query(context: CommandContext, args: str) -> None:
    workspace = context.workspace
    if not args:
        raise CommandError("say with whom: /query @bob")
    context.switch(f"@{workspace.find_user(args.split()[0])}")


@_CHATS.command(
    "switch",
    "[chat]",
    "open another chat; alone, the next with something unread",
    "chat",
    aliases=("s",),
    more=(
        "An address alone on a line, as in #ops or @bob, does the same; with a "
        "text behind it, it is a message to this chat."
    ),
)
async def _switch(context: CommandContext, args: str) -> None:
    workspace = context.workspace
    if args:
        address = workspace.find_chat(args)
    else:
        others = [
            chat.address
            for chat in workspace.unread()
            if chat.address != context.current
        ]
        if not others:
            raise CommandError("nothing is unread elsewhere: name a chat to go to")
        address = others[0]
    go_to(context, address)


def go_to(context: CommandContext, address: str) -> None:
    """Open a chat: one of the user's own, or a direct chat with any user.

    Raises:
        CommandError: It is a room that the user is not in.
    """
    workspace = context.workspace
    if address.startswith("#") and address not in workspace.model.chats:
        raise CommandError(f"you are not in {address}: /join {address} enters it")
    context.switch(address)


@_CHATS.command(
    "msg",
    "@user|#room TEXT",
    "send a message without leaving this chat",
    "chat",
    "text",
    aliases=("m",),
)
async def _msg(context: CommandContext, args: str) -> None:
    workspace = context.workspace
    words = args.split(None, 1)
    if len(words) < 2:
        raise CommandError("say to whom and what: /msg @bob see you at ten")
    await workspace.link.send(workspace.find_chat(words[0]), words[1])


@_CHATS.command("me", "TEXT", "say what you do, as in * alice waves", "text")
async def _me(context: CommandContext, args: str) -> None:
    workspace = context.workspace
    if not args:
        raise CommandError("say what you do: /me waves")
    await workspace.link.send(context.opened(), args, "action")


@_CHATS.command("history", "[COUNT]", "show what was written here before")
async def _history(context: CommandContext, args: str) -> None:
    workspace = context.workspace
    count = 20
    if args:
        if not (args.isascii() and args.isdigit() and 0 < int(args[:9]) <= MAX_HISTORY):
            raise CommandError(f"say how many, from 1 to {MAX_HISTORY:,}: /history 50")
        count = int(args)
    address = context.opened()
    chat = workspace.model.chats.get(address)
    while chat is not None and len(chat.entries) < count and chat.older():
        if not await workspace.link.history.load_older(
            address, min(200, count - len(chat.entries))
        ):
            break
    entries: list[Entry] = chat.entries[-count:] if chat else []
    if not entries:
        workspace.say(f"nothing was written in {address} so far")
        return
    workspace.say(f"the last {len(entries)} of {address}:")
    workspace.show_entries(entries)


@_CHATS.command("chats", "", "list your chats")
async def _chats(context: CommandContext, _: str) -> None:
    workspace = context.workspace
    chats = sorted(
        workspace.model.chats.values(), key=lambda c: (c.is_direct, c.address)
    )
    if not chats:
        workspace.say("no chats yet: /join #room, or /query @user to talk to a person")
        return
    size = max(width(clean(chat.address)) for chat in chats)
    workspace.frontend.show([_chat_line(context, chat, size) for chat in chats])
    _say_invites(workspace)


def _chat_line(context: CommandContext, chat: Chat, size: int) -> Line:
    mark = ">" if chat.address == context.current else " "
    line: Line = [
        ("class:mark", f" {mark} "),
        ("class:address", pad(clean(chat.address), size)),
    ]
    if chat.unread:
        line.append(("class:mention" if chat.mentions else "", f"  {_count(chat)}"))
    detail = chat.topic or (excerpt(gist(chat.newest)) if chat.newest else "")
    if detail:
        line.append(("class:notice", f"  {excerpt(detail, 50)}"))
    return line


def _count(chat: Chat) -> str:
    number = "1,000 or more" if chat.unread >= 1_000 else str(chat.unread)
    mentions = f", {chat.mentions} for you" if chat.mentions else ""
    return f"{number} unread{mentions}"


@_CHATS.command("unread", "", "show where something is unread", aliases=("u",))
async def _unread(context: CommandContext, _: str) -> None:
    say_unread(context.workspace)


def say_unread(workspace: Workspace, is_elsewhere: bool = False) -> None:
    """Show the chats with unread messages, and the open invitations.

    Args:
        workspace: Where they are shown.
        is_elsewhere: Whether to leave out the open chat, and not to report that nothing
            is unread.
    """
    chats = [
        c
        for c in workspace.unread()
        if not is_elsewhere or c.address != workspace.current
    ]
    if not chats and not is_elsewhere:
        workspace.say("nothing is unread")
    elif chats:
        heading: Line = [("class:heading", "-- unread: ")]
        for index, chat in enumerate(chats):
            style = "class:mention" if chat.mentions or chat.is_direct else ""
            number = "1000+" if chat.unread >= 1_000 else str(chat.unread)
            mentions = f" ({chat.mentions} for you)" if chat.mentions else ""
            comma = ", " if index else ""
            heading.append(("", comma))
            heading.append((style, f"{clean(chat.address)} {number}{mentions}"))
        workspace.frontend.show([heading])
    _say_invites(workspace)


def _say_invites(workspace: Workspace) -> None:
    for room, by in sorted(workspace.model.invites.items()):
        workspace.say(f"{by} invites you to {room}: /join {room} or /decline {room}")


@_CHATS.command("read", "[chat|all]", "mark as read", "chat", words={0: ("all",)})
async def _read(context: CommandContext, args: str) -> None:
    workspace = context.workspace
    if args == "all":
        for chat in workspace.unread():
            workspace.link.mark_read(chat.address, chat.last)
        workspace.say("everything is marked as read")
        return
    address = workspace.find_chat(args) if args else context.opened()
    found = workspace.model.chats.get(address)
    if found is None:
        raise CommandError(f"{address} is none of your chats")
    workspace.link.mark_read(address, found.last)
    workspace.say(f"{address} is marked as read")


@_CHATS.command("clear", "", "empty the screen")
async def _clear(context: CommandContext, _: str) -> None:
    workspace = context.workspace
    workspace.frontend.clear()


@_ROOMS.command(
    "rooms",
    "[NAME]",
    "list the public rooms, or those with NAME in their name",
    aliases=("list",),
)
async def _rooms(context: CommandContext, args: str) -> None:
    workspace = context.workspace
    wanted = args.lower().removeprefix("#")
    rooms: list[RoomInfo] = []
    after: str | None = None
    while len(rooms) < MAX_ROOMS:
        page = await workspace.link.request(Rooms(after=after))
        if not isinstance(page, RoomsPage):
            break
        rooms += page.rooms
        if not page.more or not page.rooms:
            break
        after = page.rooms[-1].room
    workspace.listed = [room.room for room in rooms]
    rooms = [room for room in rooms if wanted in room.room]
    if not rooms:
        workspace.say(
            "no such public room" if wanted else "no public rooms yet: /create #one"
        )
        return
    size = max(width(clean(room.room)) for room in rooms)
    lines: list[Line] = []
    for room in rooms:
        mark = "*" if room.room in workspace.model.chats else " "
        people = "1 member" if room.members == 1 else f"{room.members} members"
        line: Line = [
            ("class:mark", f" {mark} "),
            ("class:address", pad(clean(room.room), size)),
            ("", f"  {people:>10}"),
            ("class:notice", f"  {excerpt(room.topic, 60)}".rstrip()),
        ]
        lines.append(line)
    workspace.frontend.show(lines)
    workspace.say("* you are in these; /join #room for another")


@_ROOMS.command(
    "create",
    "#room [private] [TOPIC]",
    "make a room; a private one is entered by invitation only",
    words={1: ("private", "public")},
)
async def _create(context: CommandContext, args: str) -> None:
    workspace = context.workspace
    name, _, rest = args.partition(" ")
    if not name:
        raise CommandError("name the room: /create #ops, or /create #ops private")
    room = workspace.find_room(name)
    word, _, topic = rest.strip().partition(" ")
    is_private = word == "private"
    if word not in ("private", "public"):
        topic = rest
    visibility: Visibility = "private" if is_private else "public"
    await _request_join(
        context, Create(room=room, topic=topic.strip(), visibility=visibility)
    )
    context.switch(room)
    workspace.say(f"{room} is there: /invite @user asks people in")


async def _request_join(context: CommandContext, request: Request) -> None:
    workspace = context.workspace
    # ``request`` also applies the reply to the model: the chat is there afterwards.
    reply = await workspace.link.request(request)
    assert isinstance(reply, Joined)


@_ROOMS.command(
    "topic",
    "[TEXT]",
    "show or set what the room is about; - takes the topic off",
    "text",
)
async def _topic(context: CommandContext, args: str) -> None:
    workspace = context.workspace
    room = context.here()
    if args:
        await workspace.link.request(
            Topic(room=room, topic="" if args == "-" else args)
        )
        return
    chat = workspace.model.chats.get(room)
    topic = chat.topic if chat else ""
    workspace.say(
        f"{room}: {topic}" if topic else f"{room} has no topic: /topic TEXT sets one"
    )


@_ROOMS.command("invite", "@user [#room]", "ask a person into the room", "user", "room")
async def _invite(context: CommandContext, args: str) -> None:
    workspace = context.workspace
    words = args.split()
    if not words:
        raise CommandError("say whom: /invite @bob, or /invite @bob #ops")
    room = next((word for word in words if word.startswith("#")), "")
    room = context.here(room)
    users = [workspace.find_user(word) for word in words if not word.startswith("#")]
    for user in users:
        await workspace.link.request(Invite(room=room, user=user))
        workspace.say(f"{user} is invited to {room}")


@_ROOMS.command("decline", "[#room]", "refuse an invitation", "new_room")
async def _decline(context: CommandContext, args: str) -> None:
    workspace = context.workspace
    room = workspace.find_room(args.split()[0]) if args else _invited(context)
    await workspace.link.request(Decline(room=room))
    workspace.model.remove_invite(room)
    workspace.say(f"the invitation to {room} is declined")


def _invited(context: CommandContext) -> str:
    workspace = context.workspace
    if len(workspace.model.invites) == 1:
        return next(iter(workspace.model.invites))
    raise CommandError("name the room: #ops (/rooms lists the public ones)")


@_ROOMS.command("leave", "[#room]", "leave a room", "room", aliases=("part",))
async def _leave(context: CommandContext, args: str) -> None:
    workspace = context.workspace
    room = context.here(args)
    await workspace.link.request(Leave(room=room))
    workspace.say(f"you left {room}")


def register(registry: Registry) -> None:
    """Add the commands of this module."""
    registry.add(*_CHATS.commands, *_ROOMS.commands)
