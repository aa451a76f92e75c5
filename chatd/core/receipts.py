"""Shows connected users who types in their chats, and who has read how far."""

from chatd.core.hub import Hub
from chatd.core.signals import ReadUpTo, Signals, Typing
from chatd.protocol.messages import ReadPush, TypingPush


class Receipts:
    """Pushes cursors and typing.

    Args:
        hub: The connected users and live chats.
        signals: Where both are published.
    """

    def __init__(self, hub: Hub, signals: Signals) -> None:
        self._hub = hub
        signals.subscribe(Typing, self._typing)
        signals.subscribe(ReadUpTo, self._read)

    def _typing(self, typing: Typing) -> None:
        """Push it to the other members; not to connections that are slow."""
        live = self._hub.chats.get(typing.chat)
        if live is None:
            return
        for name, online in live.online.items():
            if name == typing.user:
                continue
            message = TypingPush(chat=live.address_for(name), user=typing.user)
            for session in online.sessions:
                if session.feed is not None and not session.sink.is_full:
                    session.push(message)

    def _read(self, read: ReadUpTo) -> None:
        """Push it to the user's other connections, and to the peer's."""
        live = self._hub.chats.get(read.chat)
        if live is None:
            return
        # In a room, it is nobody else's concern; and many may be in it.
        names = [read.user] if live.info.kind == "room" else live.online
        for online in [live.online[name] for name in names if name in live.online]:
            seat = online.seats[live.address_for(online.name)]
            if online.name == read.user:
                seat.read = max(seat.read, read.seq)
            else:
                seat.peer_read = max(seat.peer_read or 0, read.seq)
            message = ReadPush(chat=seat.address, seq=read.seq, user=read.user)
            for session in online.sessions:
                if session is not read.origin:
                    session.push_latest(("read", seat.address, read.user), message)
