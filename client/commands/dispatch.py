"""Dispatch of what was entered: a command, a chat to open, or a message to send."""

from chatd.protocol.errors import ChatError
from client.commands.chats import go_to
from client.commands.context import CommandContext
from client.commands.input import Entered, GoTo, Message, parse_input
from client.commands.registry import Registry
from client.commands.workspace import CommandError, Workspace
from client.errors import LinkError, NotConnectedError


async def run(workspace: Workspace, registry: Registry, text: str) -> None:
    """Execute a line of input; show the user what goes wrong."""
    entered = parse_input(text, workspace.model)
    if entered is not None:
        await carry_out(CommandContext(workspace), registry, entered)


async def carry_out(
    context: CommandContext, registry: Registry, entered: Entered
) -> None:
    """Execute what was entered; show the user what goes wrong."""
    try:
        await _carry_out(context, registry, entered)
    except CommandError as error:
        context.workspace.fail(str(error))
    except ChatError as error:
        context.workspace.fail(error.reason)
    except NotConnectedError:
        context.workspace.fail(
            "this needs the server, and you are offline: try again when it is back"
        )
    except LinkError as error:
        context.workspace.fail(str(error))


async def _carry_out(
    context: CommandContext, registry: Registry, entered: Entered
) -> None:
    if isinstance(entered, Message):
        link = context.workspace.link
        await link.send(context.opened(), entered.text, entered.kind)
    elif isinstance(entered, GoTo):
        go_to(context, entered.address)
    else:
        await registry.find(entered.name).handler(context, entered.arguments)
