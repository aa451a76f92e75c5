"""What every frontend starts from: the link to make, and what the process gives it."""

from collections.abc import Mapping

from msgspec import Struct

from client.commands.workspace import Workspace
from client.config.config_file import ClientConfig
from client.link.link import MakeLink
from client.notify.delivery import AlertDelivery
from client.notify.notifier import Notified, Notifier
from client.storage.paths import Paths
from client.storage.preferences import Preferences


class Runtime(Struct, frozen=True, kw_only=True):
    """What a frontend is made from; it looks nowhere else for these.

    Attributes:
        make_link: Makes the link, which the frontend starts and closes.
        server: The server's address as preferences know it.
        room: A room to join once online, as a join link asks for.
        paths: Where files of the frontend are kept; None keeps them in memory.
        preferences: The user's preferences on this device.
        config: What ``client.toml`` says.
        notified: What the user was notified of before; None turns notifications off.
        environment: The environment variables, which say what the terminal can do.
    """

    make_link: MakeLink
    server: str
    preferences: Preferences
    room: str | None = None
    paths: Paths | None = None
    config: ClientConfig = ClientConfig()
    notified: Notified | None = None
    environment: Mapping[str, str] = {}

    def notifier(
        self, workspace: Workspace, delivery: AlertDelivery
    ) -> Notifier | None:
        """Return what notifies of messages; None if notifications are off."""
        if self.notified is None:
            return None
        return Notifier(
            workspace.model,
            self.config,
            delivery.ring,
            front=lambda: workspace.current,
            notified=self.notified,
        )
