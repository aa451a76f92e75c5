"""The connected users and their chats, and the fan-out of committed entries.

The hub holds the live chats: those with a connected member. It fans out what the store
hands its follower, never what this process appended, so it does not matter which
process wrote an entry. Memberships change here for the same reason: when the fan-out
comes to the ``join`` or ``leave`` entry.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator

from chatd.core.changes import CHANGES
from chatd.core.feed import Delivery
from chatd.core.sessions import (
    LiveChat,
    OnlineUser,
    Seat,
    Session,
    address_for,
    chat_record,
)
from chatd.core.signals import Signals, UserEnded
from chatd.protocol.entries import Entry
from chatd.protocol.messages import ChatRecord, Joined, Left
from chatd.protocol.messages import Invited as InvitedPush
from chatd.store.log_store import LogStore
from chatd.store.values import ChatInfo, ChatState, Effect, Invited, Membership
from chatd.system.tasks import Tasks

Answer = Callable[[ChatRecord], None]


class Asking:
    """A session whose request is about to gain its user a chat.

    Args:
        session: The session.
        answer: Called with the chat's record; None if the request has another reply.

    Attributes:
        is_answered: Whether it was answered.
    """

    __slots__ = ("_answer", "is_answered", "session")

    def __init__(self, session: Session, answer: Answer | None) -> None:
        self.session = session
        self.is_answered = False
        self._answer = answer

    def answer(self, record: ChatRecord) -> None:
        """Answer the session, once."""
        if self._answer is not None and not self.is_answered:
            self.is_answered = True
            self._answer(record)


class Hub:
    """The live chats and connected users of this process.

    Args:
        store: Holds the logs; the hub becomes its follower.
        signals: Where it is published that an account has ended.
        is_user: Returns whether there is an account of that name.

    Attributes:
        tasks: Those of feeds that catch up.
    """

    def __init__(
        self, store: LogStore, signals: Signals, is_user: Callable[[str], bool]
    ) -> None:
        self._store = store
        self._is_user = is_user
        self.users: dict[str, OnlineUser] = {}
        self.chats: dict[int, LiveChat] = {}
        # How many chats have become live; see ``LiveChat.made``.
        self.made = 0
        self.tasks = Tasks()
        # By user and address, the request that is about to gain the user a chat: its
        # connection is not pushed `joined`, but answered by the callback, if there is
        # one, before the chat's first entry.
        self.gaining: dict[tuple[str, str], Asking] = {}
        # Called when a user gains a chat; set by presence.
        self.on_seated: Callable[[OnlineUser, LiveChat], None] | None = None
        store.set_follower(self.fan_out)
        signals.subscribe(UserEnded, self._close_directs)

    async def close(self) -> None:
        """Close all feeds, and end their tasks."""
        for session in list(self.sessions()):
            if session.feed is not None:
                session.feed.close()
        await self.tasks.close()

    def sessions(self) -> Iterator[Session]:
        """Yield the sessions of all logged-in connections."""
        for online in self.users.values():
            yield from online.sessions

    # Live chats ---------------------------------------------------------------------

    def hold(self, info: ChatInfo) -> LiveChat:
        """Make a chat live, or keep it so, until ``release``; holds are counted."""
        live = self.chats.get(info.id)
        if live is None:
            self.made += 1
            live = self.chats[info.id] = LiveChat(info, self.made)
            self._store.follow(info.id)
        live.holds += 1
        return live

    def release(self, live: LiveChat) -> None:
        """Undo one ``hold``; without any, the chat is not live any more."""
        live.holds -= 1
        if live.holds == 0:
            del self.chats[live.id]
            self._store.unfollow(live.id)

    # Users --------------------------------------------------------------------------

    @contextlib.contextmanager
    def asking(
        self, session: Session, address: str, answer: Answer
    ) -> Iterator["Asking"]:
        """Within the context, answer a session once its user gains a chat.

        Of several that ask for the same chat at once, only the first is answered here,
        whichever of their requests succeeds: look at ``Asking.is_answered``.
        """
        asking = Asking(session, answer)
        self.gaining.setdefault((session.user, address), asking)
        try:
            yield asking
        finally:
            self.stop_asking(session, address)

    def ask(self, session: Session, address: str) -> None:
        """Push no ``joined`` to a session once its user gains a chat."""
        self.gaining.setdefault((session.user, address), Asking(session, None))

    def stop_asking(self, session: Session, address: str) -> None:
        """End what ``ask`` began."""
        asking = self.gaining.get((session.user, address))
        if asking is not None and asking.session is session:
            del self.gaining[session.user, address]

    def attach(self, user: str) -> OnlineUser:
        """Register a login that has begun; ``detach`` ends it."""
        online = self.users.get(user)
        if online is None:
            online = self.users[user] = OnlineUser(user)
        online.logins += 1
        return online

    def detach(self, online: OnlineUser, session: Session | None = None) -> bool:
        """End a login or a session; return whether the user is offline now."""
        if session is None:
            online.logins -= 1
        else:
            online.sessions.remove(session)
            if session.feed is not None:
                session.feed.close()
        if online.sessions or online.logins:
            return False
        for seat in list(online.seats.values()):
            self.unseat(online, seat)
        del self.users[online.name]
        return True

    def seat(
        self,
        online: OnlineUser,
        membership: Membership,
        peer_read: int | None = None,
        last: int = 0,
    ) -> Seat:
        """Give a connected user a seat in a chat; entries are delivered from now on.

        Args:
            online: The user, a member of the chat.
            membership: The user's membership.
            peer_read: The other user's cursor in a direct chat.
            last: The newest seq, as read after the chat was followed.
        """
        info = membership.chat
        address = address_for(info, online.name)
        seat = online.seats.get(address)
        if seat is not None:
            return seat
        live = self.hold(info)
        if live.last == 0 and not live.online:
            # If members are online, they may still be owed entries up to `last`.
            live.last = last
        online.changes += 1
        seat = Seat(live, address, membership, peer_read)
        if info.kind == "direct" and not self._is_user(address[1:]):
            seat.is_open = False
        online.seats[address] = seat
        live.online[online.name] = online
        if self.on_seated is not None:
            self.on_seated(online, live)
        return seat

    def _close_directs(self, ended: UserEnded) -> None:
        if ended.code == "deleted":
            for online in self.users.values():
                seat = online.seats.get(f"@{ended.user}")
                if seat is not None:
                    seat.is_open = False

    def unseat(self, online: OnlineUser, seat: Seat) -> None:
        """Take a connected user's seat in a chat away."""
        online.changes += 1
        del online.seats[seat.address]
        del seat.live.online[online.name]
        for session in online.sessions:
            if session.refused:
                session.refused.pop(seat.address, None)
        self.release(seat.live)

    # Fan-out ------------------------------------------------------------------------

    def fan_out(self, effects: Iterable[Effect]) -> None:
        """Deliver what one commit made visible to all connections that it concerns.

        Called by the store, on the loop, in the order of the logs. Entries up to
        ``LiveChat.last`` are dropped: that seq was read after the chat was followed, so
        connections read these entries from the store. In rooms, memberships and the
        topic change here, between the entries before and after the one that says so.
        """
        for effect in effects:
            if isinstance(effect, Invited):
                self._invite(effect)
                continue
            live = self.chats.get(effect.chat)
            if live is not None:
                self._deliver(live, effect.entries)
            elif effect.info is not None:
                # No connected user has the chat, but one may gain it by these.
                live = self.hold(effect.info)
                try:
                    self._deliver(live, effect.entries)
                finally:
                    self.release(live)

    def _deliver(self, live: LiveChat, entries: list[Entry]) -> None:
        if entries[0].seq <= live.last:
            # The connections have read these from the store, or are about to.
            entries = [entry for entry in entries if entry.seq > live.last]
            if not entries:
                return
        if live.info.kind == "direct":
            if len(live.online) < 2 and entries[0].prev == 0:
                self._open_direct(live)
            self._pass_on(live, entries)
        else:
            self._fan_out_room(live, entries)
        live.last = entries[-1].seq

    def _invite(self, invited: Invited) -> None:
        online = self.users.get(invited.user)
        if online is not None:
            online.changes += 1
            for session in online.sessions:
                session.push(InvitedPush(room=f"#{invited.room}", by=invited.by))

    def _pass_on(self, live: LiveChat, entries: list[Entry]) -> None:
        delivery = Delivery(entries)
        is_room = live.info.kind == "room"
        address = f"#{live.info.name}"
        for online in live.online.values():
            if not is_room:
                address = live.address_for(online.name)
            for session in online.sessions:
                if session.feed is not None:
                    session.feed.deliver(live, address, delivery)

    def _fan_out_room(self, live: LiveChat, entries: list[Entry]) -> None:
        # An entry that changes the members still goes to the old members. A user who
        # joins is sent the chat's record, but only the entries after that one.
        start = 0
        for index, entry in enumerate(entries):
            change = CHANGES.get(entry.kind)
            if change is not None:
                self._pass_on(live, entries[start : index + 1])
                live.last = entry.seq
                start = index + 1
                change(self, live, entry)
        if start < len(entries):
            self._pass_on(live, entries[start:] if start else entries)

    def _open_direct(self, live: LiveChat) -> None:
        for name in dict.fromkeys(live.info.name.split(" ")):
            online = self.users.get(name)
            if online is not None and name not in live.online:
                membership = Membership(live.info, name, "member", 1, 0)
                self.gain(online, membership, 0)

    def gain(self, online: OnlineUser, membership: Membership, last: int) -> None:
        """Give a connected user a new chat, which is live, with entries up to ``last``.

        The user's connections get ``joined`` before the chat's first entry; the one
        whose request gained the chat is answered instead (see ``asking``).
        """
        live = self.chats[membership.chat.id]
        peer_read = 0 if live.info.kind == "direct" else None
        if online.name == live.address_for(online.name)[1:]:
            peer_read = None  # a note to self has no other user
        address = live.address_for(online.name)
        is_known = address in online.seats
        seat = self.seat(online, membership, peer_read, last)
        record = chat_record(ChatState(membership, last, 0, peer_read))
        asking = self.gaining.get((online.name, address))
        for session in online.sessions:
            # A login may have read the membership before this was fanned out.
            if session.feed is not None and not is_known:
                # The feed may still owe the connection an earlier membership's end.
                session.feed.add(seat.live, last)
            if asking is not None and session is asking.session:
                asking.answer(record)
            elif not is_known:
                session.push(Joined(chat=record))

    def lose(self, online: OnlineUser, live: LiveChat, last: int) -> None:
        """Take a chat away from a connected user, after the entry ``last``."""
        address = live.address_for(online.name)
        seat = online.seats.get(address)
        if seat is None:
            return
        self.unseat(online, seat)
        left = Left(chat=address, code="left")
        for session in online.sessions:
            if session.feed is not None:
                session.feed.remove(live, last, left)
            else:
                session.push(left)
