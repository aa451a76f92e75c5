"""General commands: the outbox, time format, connection, help and quitting."""

from client.commands.context import CommandContext
from client.commands.registry import NOTES, Command, Group, Handler, Registry, Rows
from client.commands.workspace import CommandError, Workspace
from client.model.entries import OutboxItem
from client.text.entries import Look, table_lines
from client.text.styles import Line
from client.text.times import BadTimeError, check_time_format, format_time

_PROGRAM = Group("This program")


@_PROGRAM.command("outbox", "", "list what waits to be sent, or was refused")
async def _outbox(context: CommandContext, _: str) -> None:
    workspace = context.workspace
    items = workspace.link.outbox.items
    if not items:
        workspace.say("the outbox is empty: everything was sent")
        return
    workspace.say(f"{len(items)} in the outbox:")
    lines: list[Line] = []
    for number, item in enumerate(items, 1):
        shown = workspace.lines_of_item(item)
        shown[0].insert(0, ("class:mark", f"{number:>3}. "))
        lines += shown
    workspace.frontend.show(lines)
    if any(item.state == "refused" for item in items):
        workspace.say("/retry N sends again, /discard N throws away")


@_PROGRAM.command(
    "retry", "[N|all]", "send again what was refused", words={0: ("all",)}
)
async def _retry(context: CommandContext, args: str) -> None:
    workspace = context.workspace
    refused = [item for item in _chosen(context, args) if item.state == "refused"]
    if not refused:
        raise CommandError("that was not refused: it waits, and is sent by itself")
    for item in refused:
        await workspace.link.outbox.retry(item.id)


@_PROGRAM.command(
    "discard", "[N|all]", "throw away what was refused or waits", words={0: ("all",)}
)
async def _discard(context: CommandContext, args: str) -> None:
    workspace = context.workspace
    items = _chosen(context, args)
    for item in items:
        workspace.link.outbox.discard(item.id)
    one = len(items) == 1
    workspace.say(
        "1 message thrown away" if one else f"{len(items)} messages thrown away"
    )


def _chosen(context: CommandContext, args: str) -> list[OutboxItem]:
    """Return the items named: a number, ``all``, or "" for the refused ones."""
    workspace = context.workspace
    items = list(workspace.link.outbox.items)
    if not items:
        raise CommandError("the outbox is empty: everything was sent")
    if args == "all":
        return items
    if not args:
        refused = [item for item in items if item.state == "refused"]
        if not refused:
            raise CommandError("nothing was refused; /outbox lists what waits")
        return refused
    if not (args.isascii() and args.isdigit() and 0 < int(args[:9]) <= len(items)):
        raise CommandError(f"give a number from 1 to {len(items)}, as in /outbox")
    return [items[int(args) - 1]]


@_PROGRAM.command(
    "time",
    "[FORMAT]",
    "show the time, or set how times are shown",
    more="FORMAT is for strftime: /time %H:%M:%S, or /time %d.%m. %H:%M",
)
async def _time(context: CommandContext, args: str) -> None:
    workspace = context.workspace
    now_ms = workspace.now_ms
    if args:
        try:
            workspace.preferences.time_format = check_time_format(args)
        except BadTimeError as error:
            raise CommandError(str(error)) from error
        workspace.say(
            f"times look like this from now on: {as_shown(workspace, now_ms)}"
        )
        return
    workspace.say(f"it is {format_time(now_ms, '%A, %d %B %Y, %H:%M:%S')}")
    form, now = workspace.preferences.time_format, as_shown(workspace, now_ms)
    workspace.say(f"times are shown as {form}, now {now}")


def as_shown(workspace: Workspace, time_ms: int) -> str:
    """Return a time in the user's time format."""
    return format_time(time_ms, workspace.preferences.time_format)


@_PROGRAM.command("server", "", "show where you are connected to, and how well")
async def _server(context: CommandContext, _: str) -> None:
    workspace = context.workspace
    state, hello = workspace.link.state, workspace.link.hello
    name = f"{hello.name} ({hello.server})" if hello else "the server"
    if state.name == "online":
        ms = state.round_trip_ms
        trip = "" if ms is None else f", round trip {max(1.0, ms):.0f} ms"
        workspace.say(
            f"online as {workspace.model.me} at {name}, {workspace.server}{trip}"
        )
        return
    reason = "" if workspace.server in state.reason else f" to {workspace.server}"
    if state.reason:
        reason += f": {state.reason}"
    workspace.say(f"not connected{reason}")


@_PROGRAM.command("reconnect", "", "try again now, instead of waiting")
async def _reconnect(context: CommandContext, _: str) -> None:
    workspace = context.workspace
    if workspace.is_online:
        raise CommandError("you are online")
    workspace.link.reconnect_now()


async def _quit(context: CommandContext, _: str) -> None:
    workspace = context.workspace
    workspace.frontend.quit()


def _help_of(registry: Registry, keys: Rows) -> Handler:
    async def show_help(context: CommandContext, args: str) -> None:
        workspace = context.workspace
        if args:
            name = args.split()[0].removeprefix("/")
            if (command := registry.get(name)) is None:
                raise CommandError(registry.missing(name))
            workspace.say(f"{command.title}  {command.help}")
            if command.aliases:
                workspace.say(
                    "also " + ", ".join(f"/{name}" for name in command.aliases)
                )
            if command.more:
                workspace.say(command.more)
            return
        workspace.frontend.show(help_lines(registry, workspace.look, keys))

    return show_help


def help_lines(registry: Registry, look: Look, keys: Rows = ()) -> list[Line]:
    """Return the help: commands, other input and keys, under headings."""
    sections: dict[str, Rows] = {
        heading: [(command.title, command.help) for command in commands]
        for heading, commands in registry.groups().items()
    }
    sections["Instead of a command"] = NOTES
    sections["Keys"] = keys
    size = max(len(command.title) for command in registry.all())
    lines: list[Line] = []
    for heading, rows in sections.items():
        if rows:
            lines.append([("class:heading", heading)])
            lines += table_lines(rows, look, size)
    return lines


def register(registry: Registry, keys: Rows) -> None:
    """Add the commands of this module; help covers all that are in the registry.

    Args:
        registry: Where they are added.
        keys: The frontend's keys, as help lists them.
    """
    registry.add(
        *_PROGRAM.commands,
        Command(
            name="help",
            usage="[COMMAND]",
            help="list the commands, or explain one",
            handler=_help_of(registry, keys),
            arguments=("command",),
            group=_PROGRAM.heading,
        ),
        Command(
            name="quit",
            help="end the program; what waits is sent next time",
            handler=_quit,
            aliases=("exit",),
            group=_PROGRAM.heading,
        ),
    )
