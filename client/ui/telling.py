"""What the program says of changes that no message in the timeline shows."""

from collections.abc import Mapping

from client.changes import (
    Change,
    InvitesChanged,
    Notice,
    Reset,
    SyncDone,
    Transfer,
    TransferChanged,
)
from client.colours import Line
from client.formatting_files import outcome_text
from client.ui.actions import ACTIONS, shown_keys
from client.workspace import Workspace


class Teller:
    """Says each thing once, in the open chat.

    Args:
        ws: Where to.
    """

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws
        self._over: set[int] = set()
        self._is_first_sync = True

    def changed(self, change: Change) -> None:
        """Say what a change means, if it is to be said."""
        match change:
            case InvitesChanged() if self._ws.model.is_synced:
                self._invited(change.room)
            case TransferChanged():
                self._transfer(change.transfer)
            case SyncDone() if self._is_first_sync:
                self._is_first_sync = False
                self._welcome()
            case Reset():
                self._ws.say(
                    "the server has begun anew, so what was kept of it here is dropped"
                )
            case Notice():
                self._ws.say(change.text)
            case _:
                pass

    def _welcome(self) -> None:
        hello = self._ws.link.hello
        if hello is not None and hello.motd:
            self._ws.say(hello.motd)
        for room in sorted(self._ws.model.invites):
            self._invited(room)

    def _invited(self, room: str) -> None:
        by = self._ws.model.invites.get(room)
        if by is not None:
            self._ws.say(f"{by} invites you to {room}: /join {room} or /decline {room}")

    def _transfer(self, transfer: Transfer) -> None:
        if not transfer.is_over or transfer.id in self._over:
            return
        self._over.add(transfer.id)
        if transfer.state == "failed":
            self._ws.fail(outcome_text(transfer))
        elif transfer.state == "cancelled" or transfer.chat != self._ws.current:
            # In the open chat the file's own row says what became of it.
            self._ws.say(outcome_text(transfer))


def nothing_open(keys: Mapping[str, tuple[str, ...]]) -> list[Line]:
    """Return what stands where a chat was until one was removed from it, or left it.

    Args:
        keys: One's own, by action.
    """
    wanted = ("switcher", "next-activity")
    rows = [(shown_keys(a, keys), a.help) for a in ACTIONS if a.name in wanted]
    lines: list[Line] = [[("class:heading", "No chat is open")], [("", "")]]
    return lines + [[("", f"{key}: {text}")] for key, text in sorted(rows) if key]
