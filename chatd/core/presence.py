"""Presence: collects changes of status, and pushes them at most once a second.

A user's presence goes to those who share a chat with the user. Changes are noted per
chat, and once a second each connection gets one push with what changed in all of its
chats. Most connections share just one changed chat, so its changes are collected once
for all of them.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from chatd.core.hub import Hub
from chatd.core.sessions import LiveChat, OnlineUser, Session
from chatd.core.signals import PresenceChanged, Signals
from chatd.protocol.messages import Presence, PresenceOf

PUSH_SECONDS = 1.0
# Users in one push: with the longest names and texts they fit a frame.
MAX_USERS_PER_PUSH = 500
_MAX_SEEN = 100_000


class PresenceBoard:
    """Collects changes of presence and pushes them.

    Args:
        hub: The connected users and live chats.
        signals: Where changes are published.
        clock_ms: Returns the server's wall clock, in milliseconds.
    """

    def __init__(self, hub: Hub, signals: Signals, clock_ms: Callable[[], int]) -> None:
        self._hub = hub
        self._signals = signals
        self._clock_ms = clock_ms
        self._dirty: set[LiveChat] = set()
        # Sessions that have to be sent the presence of all members of some chats.
        self._fresh: dict[Session, set[LiveChat]] = {}
        self._seen: OrderedDict[str, int] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        hub.on_seated = self._on_seated
        signals.subscribe(PresenceChanged, self._note)

    def close(self) -> None:
        """Stop pushing; changes not pushed yet are dropped."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def of(self, user: str) -> PresenceOf:
        """Return a user's presence."""
        online = self._hub.users.get(user)
        if online is not None and online.sessions:
            return PresenceOf(status=online.status, text=online.status_text)
        return PresenceOf(status="offline", seen=self._seen.get(user))

    def came(self, session: Session) -> None:
        """Record that a session has begun, and send it the presence of others."""
        online = session.online
        if len(online.sessions) == 1:
            self.changed(online)
        self.welcome(session)

    def welcome(self, session: Session) -> None:
        """Schedule a push of who is online in all of a session's chats."""
        if session.feed is None or not session.online.seats:
            return
        self._fresh[session] = {seat.live for seat in session.online.seats.values()}
        self._schedule()

    def left(self, session: Session) -> None:
        """Record that a session ends; call it before the hub detaches the session."""
        self._fresh.pop(session, None)
        online = session.online
        if len(online.sessions) == 1:
            now = self._clock_ms()
            self._seen[online.name] = now
            self._seen.move_to_end(online.name)
            if len(self._seen) > _MAX_SEEN:
                self._seen.popitem(last=False)
            self._publish(online, PresenceOf(status="offline", seen=now))

    def changed(self, online: OnlineUser) -> None:
        """Record that a user's status has changed."""
        self._publish(online, PresenceOf(status=online.status, text=online.status_text))

    def _publish(self, online: OnlineUser, presence: PresenceOf) -> None:
        self._signals.publish(PresenceChanged(online.name, presence))

    def _note(self, changed: PresenceChanged) -> None:
        online = self._hub.users.get(changed.user)
        if online is None:
            return
        for seat in online.seats.values():
            live = seat.live
            if len(live.online) > 1:
                if live.changed is None:
                    live.changed = {}
                    self._dirty.add(live)
                live.changed[online.name] = changed.presence
        if self._dirty:
            self._schedule()

    def _on_seated(self, online: OnlineUser, live: LiveChat) -> None:
        if not online.sessions or len(live.online) < 2:
            return
        if live.changed is None:
            live.changed = {}
            self._dirty.add(live)
        live.changed[online.name] = self.of(online.name)
        for session in online.sessions:
            if session.feed is not None:
                self._fresh.setdefault(session, set()).add(live)
        self._schedule()

    def _schedule(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(PUSH_SECONDS, self.push)

    def push(self) -> None:
        """Push what has changed since the last time."""
        self._timer = None
        sources: dict[Session, list[dict[str, PresenceOf]]] = {}
        for live in self._dirty:
            changed, live.changed = live.changed, None
            if not changed:
                continue
            for online in live.online.values():
                for session in online.sessions:
                    if session.feed is not None:
                        sources.setdefault(session, []).append(changed)
        self._dirty.clear()
        fresh, self._fresh = self._fresh, {}
        everybody: dict[LiveChat, dict[str, PresenceOf]] = {}
        for session, chats in fresh.items():
            if session.feed is None:
                continue
            for live in chats:
                if live not in everybody:
                    everybody[live] = self._everybody(live)
                sources.setdefault(session, []).append(everybody[live])
        for session, parts in sources.items():
            self._push_to(session, parts)

    def _everybody(self, live: LiveChat) -> dict[str, PresenceOf]:
        return {
            name: PresenceOf(status=online.status, text=online.status_text)
            for name, online in live.online.items()
            if online.sessions
        }

    @staticmethod
    def _push_to(session: Session, parts: list[dict[str, PresenceOf]]) -> None:
        users = parts[0]
        own = session.user
        if len(parts) > 1 or own in users:
            users = {}
            for part in parts:
                users.update(part)
            users.pop(own, None)
        if not users:
            return
        names = list(users)
        for start in range(0, len(names), MAX_USERS_PER_PUSH):
            some = names[start : start + MAX_USERS_PER_PUSH]
            more = start + MAX_USERS_PER_PUSH < len(names)
            if len(names) == 1:
                subject: tuple[str, ...] = ("presence", names[0])
                message = Presence(users=users, more=False)
                session.push_latest(subject, message)
            elif session.feed is not None and not session.sink.is_full:
                message = Presence(
                    users={name: users[name] for name in some}, more=more
                )
                session.push(message)
            else:
                for name in some:
                    one = Presence(users={name: users[name]}, more=False)
                    session.push_latest(("presence", name), one)
