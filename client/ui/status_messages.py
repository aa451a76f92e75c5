"""Status messages: texts of the program itself, as notices and in the status line."""

import asyncio
import time
from collections.abc import Callable, Mapping

from client.commands.workspace import Workspace
from client.keys.actions import ACTIONS, keys_of, shown_keys
from client.keys.key_names import format_keys
from client.model.changes import (
    Change,
    InvitesChanged,
    Notice,
    Reset,
    SyncDone,
    TransferChanged,
)
from client.model.entries import Transfer
from client.text.files import outcome_text
from client.text.styles import Line

FLASH_SECONDS = 4.0

Keys = Mapping[str, tuple[str, ...]]
"""The user's configured keys, by action."""

_ACTIONS = {action.name: action for action in ACTIONS}


class StatusMessages:
    """Reports, in the open chat, changes that no entry of the timeline shows.

    Invitations, outcomes of transfers, the welcome of the server and its notices; the
    outcome of a transfer is reported once.

    Args:
        workspace: Where to report.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._over: set[int] = set()
        self._is_first_sync = True

    def changed(self, change: Change) -> None:
        """Report a change, if it is one of these."""
        match change:
            case InvitesChanged() if self._workspace.model.is_synced:
                self._invited(change.room)
            case TransferChanged():
                self._transfer(change.transfer)
            case SyncDone() if self._is_first_sync:
                self._is_first_sync = False
                self._welcome()
            case Reset():
                self._workspace.say(
                    "the server has begun anew, so what was kept of it here is dropped"
                )
            case Notice():
                self._workspace.say(change.text)
            case _:
                pass

    def _welcome(self) -> None:
        hello = self._workspace.link.hello
        if hello is not None and hello.motd:
            self._workspace.say(hello.motd)
        for room in sorted(self._workspace.model.invites):
            self._invited(room)

    def _invited(self, room: str) -> None:
        by = self._workspace.model.invites.get(room)
        if by is not None:
            self._workspace.say(
                f"{by} invites you to {room}: /join {room} or /decline {room}"
            )

    def _transfer(self, transfer: Transfer) -> None:
        if not transfer.is_over or transfer.id in self._over:
            return
        self._over.add(transfer.id)
        if transfer.state == "failed":
            self._workspace.fail(outcome_text(transfer))
        elif transfer.state == "cancelled" or transfer.chat != self._workspace.current:
            # In the open chat the row of the file shows the outcome itself.
            self._workspace.say(outcome_text(transfer))


class Flash:
    """A text that the status line shows for some seconds.

    Args:
        paint: Called when the text changes or expires.
    """

    def __init__(self, paint: Callable[[], None]) -> None:
        self._paint = paint
        self._text = ""
        self._until = 0.0

    @property
    def text(self) -> str:
        """The text to show now; "" if there is none."""
        return self._text if time.monotonic() < self._until else ""

    def say(self, text: str) -> None:
        """Show a text from now on; "" ends it."""
        self._text, self._until = text, time.monotonic() + FLASH_SECONDS
        self._paint()
        if text:
            asyncio.get_running_loop().call_later(FLASH_SECONDS, self._paint)


def nothing_open(keys: Keys) -> list[Line]:
    """Return what the timeline shows after the user left, or lost, the open chat."""
    wanted = (_ACTIONS[name] for name in ("switcher", "next-activity"))
    rows = [(shown_keys(action, keys), action.help) for action in wanted]
    lines: list[Line] = [[("class:heading", "No chat is open")], [("", "")]]
    return lines + [[("", f"{key}: {text}")] for key, text in sorted(rows) if key]


def fold_hint(keys: Keys) -> str:
    """Return the hint below a folded message: which keys show all of it."""
    choose, unfold = _first_key("select", keys), _first_key("select-fold", keys)
    if choose and unfold:
        return f"{choose}, then {unfold} shows all"
    return "client.toml leaves no key that shows all"


def not_sent(where: str, reason: str, keys: Keys) -> str:
    """Return the sentence about a message that was not sent.

    Args:
        where: The chat, if it is not the open one; else "".
        reason: Why.
        keys: The user's configured keys, by action.
    """
    place = f" to {where}" if where else ""
    key = _first_key("history-back", keys)
    remedy = f" ({key} has it back)" if key else ""
    return f"your message{place} was not sent: {reason}{remedy}"


def _first_key(action: str, keys: Keys) -> str:
    """Return the first key of an action as users write it; "" if it has none."""
    return next(map(format_keys, keys_of(_ACTIONS[action], keys)), "")
