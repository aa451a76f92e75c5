"""Where a command was entered."""

from client.commands.workspace import CommandError, Workspace
from client.model.chat import Chat


class CommandContext:
    """The workspace, and the chat that was open when a command was entered.

    The command may have to wait for another one, and the user may open another chat
    meanwhile: it still applies to the chat that was open.

    Attributes:
        workspace: Where it was entered.
        current: The address of the chat, None if none was open.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.current = workspace.current

    @property
    def chat(self) -> Chat | None:
        """The chat, if there is one and the server knows it."""
        return self.workspace.model.chats.get(self.current) if self.current else None

    def switch(self, address: str) -> None:
        """Make a chat the open one, here and in the workspace."""
        self.current = address
        self.workspace.switch(address)

    def here(self, text: str = "") -> str:
        """Return the address of the room named, or else of the room that is open.

        Raises:
            CommandError: The name is not valid, or none is given and no room is open.
        """
        if text:
            return self.workspace.find_room(text)
        if self.current is None or not self.current.startswith("#"):
            raise CommandError("no room is open here: name one, as in #ops")
        return self.current

    def opened(self) -> str:
        """Return the address of the chat.

        Raises:
            CommandError: None is open.
        """
        if self.current is None:
            raise CommandError(
                "no chat is open: /join #room, or /query @user to talk to a person"
            )
        return self.current
