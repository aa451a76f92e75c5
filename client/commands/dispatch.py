"""Dispatch of input lines: a command, an address to open, or a message to send."""

from chatd.protocol.errors import ChatError
from client.commands.chats import go_to
from client.commands.registry import Registry, plain_text, split_command
from client.commands.workspace import CommandError, Workspace
from client.errors import LinkError, NotConnectedError


async def run(workspace: Workspace, registry: Registry, text: str) -> None:
    """Execute a line of input; show the user what goes wrong."""
    text = text.strip("\n").rstrip()
    if not text.strip():
        return
    try:
        await _run(workspace, registry, text)
    except CommandError as error:
        workspace.fail(str(error))
    except ChatError as error:
        workspace.fail(error.reason)
    except NotConnectedError:
        workspace.fail(
            "this needs the server, and you are offline: try again when it is back"
        )
    except LinkError as error:
        workspace.fail(str(error))


async def _run(workspace: Workspace, registry: Registry, text: str) -> None:
    command = split_command(text)
    if command is not None:
        name, arguments = command
        await registry.find(name).handler(workspace, arguments)
    elif (address := workspace.address_alone(text)) is not None:
        go_to(workspace, address)
    else:
        await workspace.send(workspace.opened(), plain_text(text))
