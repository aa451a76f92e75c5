"""Operations on rooms: create, list, join, leave, invite, set the topic."""

from collections.abc import Awaitable

from chatd.core.chats import Clock
from chatd.core.hub import Answer, Hub
from chatd.core.limits import RateLimit
from chatd.core.people import Directory
from chatd.core.presence import PresenceBoard
from chatd.core.sessions import Seat, Session, chat_record
from chatd.protocol.entries import Draft, EntryKind, encode_tail
from chatd.protocol.errors import (
    ChatError,
    NameTakenError,
    NoSuchRoomError,
    NoSuchUserError,
    NotAllowedError,
    NotAMemberError,
    TooLargeError,
    UnavailableError,
)
from chatd.protocol.messages import (
    MemberInfo,
    MembersPage,
    RoomInfo,
    RoomsPage,
    Visibility,
)
from chatd.protocol.names import parse_room_address, parse_user_name
from chatd.protocol.rights import require
from chatd.store.base import Store
from chatd.store.commands import CreateRoom, Invite, Uninvite
from chatd.store.values import (
    AddMember,
    Change,
    ChatInfo,
    RemoveMember,
    SetTopic,
)

MAX_TOPIC_BYTES = 1_024
# With the longest topics, escaped to six times their size, these fit a frame.
MAX_ROOMS_PER_PAGE = 100


class Rooms:
    """Applies the rules for rooms and their members.

    Args:
        hub: The connected users and live chats.
        store: Holds the rooms.
        directory: Knows which accounts exist.
        presence: The members' presence, for lists of members.
        clock: Source of the time.
        user_rate: Limits each user's requests that write something.
        max_rooms: How many rooms a user may be in.
        max_invitations: How many invitations a user may have.
    """

    def __init__(
        self,
        hub: Hub,
        store: Store,
        directory: Directory,
        presence: PresenceBoard,
        clock: Clock,
        user_rate: RateLimit,
        max_rooms: int,
        max_invitations: int,
    ) -> None:
        self._hub = hub
        self._store = store
        self._directory = directory
        self._presence = presence
        self._clock = clock
        self._user_rate = user_rate
        self.max_rooms = max_rooms
        self.max_invitations = max_invitations

    async def create(
        self,
        session: Session,
        room: str,
        topic: str,
        visibility: Visibility,
        answer: Answer,
    ) -> None:
        """Create a room owned by the user; ``answer`` is called with its record.

        A session that has ended meanwhile is not answered; the room is there.

        Raises:
            NameTakenError: There is a room of that name.
            TooManyError: The user is in too many rooms.
        """
        name = parse_room_address(room)
        _check_topic(topic)
        self._take(session)
        members: dict[str, object] = {"visibility": visibility}
        if topic:
            members["topic"] = topic
        draft = self._draft(session, "create", members)
        command = CreateRoom(
            name, visibility, topic, session.user, draft, self.max_rooms
        )
        creating = self._store.execute(command)
        await self._gain(session, name, answer, creating)

    async def join(self, session: Session, room: str, answer: Answer) -> None:
        """Make the user a member; ``answer`` is called with the chat's record.

        Raises:
            NoSuchRoomError: There is none, or it is private and the user not invited.
            TooManyError: The user is in too many rooms.
        """
        seat = self._seat(session, room)
        if seat is not None:
            await self._answer_member(session, seat, answer)
            return
        # Before it is looked for: else, who is refused learns that a room is there.
        self._take(session)
        info = await self._find(session, room)
        draft = self._draft(session, "join")
        change = AddMember(session.user, is_asking=True, max_rooms=self.max_rooms)
        append = self._store.append(info.id, draft, change)
        try:
            await self._gain(session, info.name, answer, append)
        except NameTakenError:
            seat = self._seat(session, room)
            if seat is None:
                raise UnavailableError(
                    "you are just leaving that room; try again"
                ) from None
            await self._answer_member(session, seat, answer)

    async def _gain(
        self, session: Session, name: str, answer: Answer, work: Awaitable[object]
    ) -> None:
        """Await what makes the user a member; the fan-out answers, or else this does.

        Two connections of a user may ask at once, and the one that is answered need not
        be the one whose request succeeded: each gets one reply all the same.
        """
        with self._hub.asking(session, f"#{name}", answer) as asking:
            try:
                await work
            except ChatError:
                if not asking.is_answered:
                    raise
        seat = session.online.seats.get(f"#{name}")
        if seat is not None and not asking.is_answered:
            await self._answer_member(session, seat, answer)

    async def leave(self, session: Session, room: str) -> None:
        """End the user's membership; the fan-out pushes it to the user's connections.

        Raises:
            NotAMemberError: The user is not a member of that public room.
            NoSuchRoomError: There is no such room, as far as the user may know.
        """
        seat = await self._require(session, room)
        await self._change(session, seat, "leave", {}, RemoveMember(session.user))

    async def set_topic(self, session: Session, room: str, topic: str) -> None:
        """Change the topic.

        Raises:
            NotAllowedError: The user's role does not allow it.
        """
        seat = await self._require(session, room)
        _check_topic(topic)
        require(seat.role, "topic", seat.address)
        await self._change(session, seat, "topic", {"topic": topic}, SetTopic(topic))

    async def invite(self, session: Session, room: str, user: str) -> None:
        """Invite another user to join; the fan-out pushes it.

        Raises:
            NoSuchUserError: There is no such user.
            NotAllowedError: The other is a member already, or the user is muted.
        """
        seat = await self._require(session, room)
        name = parse_user_name(user)
        if not self._directory.is_user(name):
            raise NoSuchUserError(f"there is no user '{name}'")
        require(seat.role, "invite", seat.address)
        self._take(session)
        if await self._store.chat_of(name, seat.live.id) is not None:
            raise NotAllowedError(f"{name} is a member of {seat.address} already")
        await self._store.execute(
            Invite(seat.live.id, name, session.user, self.max_invitations)
        )

    async def decline(self, session: Session, room: str) -> None:
        """Remove the user's own invitation to a room.

        Raises:
            NoSuchRoomError: There was none.
        """
        name = parse_room_address(room)
        info = await self._store.find_room(name)
        if info is None or not await self._store.execute(
            Uninvite(info.id, session.user)
        ):
            raise NoSuchRoomError(f"you have no invitation to #{name}")

    async def rooms(self, after: str | None, limit: int) -> RoomsPage:
        """Return a page of public rooms by name, after the name ``after``."""
        start = after.removeprefix("#") if after else None
        limit = min(limit, MAX_ROOMS_PER_PAGE)
        found = await self._store.rooms(start, limit + 1)
        return RoomsPage(
            rooms=[
                RoomInfo(f"#{room.name}", room.topic, room.members)
                for room in found[:limit]
            ],
            more=len(found) > limit,
        )

    async def members(
        self, session: Session, room: str, after: str | None, limit: int
    ) -> MembersPage:
        """Return a page of the members of a room that is public or that the user is in.

        Raises:
            NoSuchRoomError: There is no such room, as far as the user may know.
        """
        seat = self._seat(session, room)
        info = seat.live.info if seat is not None else await self._find(session, room)
        if seat is None and info.visibility == "private":
            raise NoSuchRoomError(f"there is no room #{info.name}")
        found = await self._store.members(info.id, after, limit + 1)
        return MembersPage(
            members=[
                MemberInfo(
                    user=member.user,
                    role=member.role,
                    status=self._presence.of(member.user).status,
                )
                for member in found[:limit]
            ],
            more=len(found) > limit,
        )

    # Helpers ------------------------------------------------------------------------

    def _seat(self, session: Session, room: str) -> Seat | None:
        return session.online.seats.get(f"#{parse_room_address(room)}")

    async def _find(self, session: Session, room: str) -> ChatInfo:
        name = parse_room_address(room)
        info = await self._store.find_room(name)
        if info is None:
            raise NoSuchRoomError(f"there is no room #{name}")
        return info

    async def _require(self, session: Session, room: str) -> Seat:
        seat = self._seat(session, room)
        if seat is None:
            info = await self._find(session, room)
            if info.visibility == "private":
                raise NoSuchRoomError(f"there is no room #{info.name}")
            raise NotAMemberError(f"you are not a member of #{info.name}")
        return seat

    async def _answer_member(
        self, session: Session, seat: Seat, answer: Answer
    ) -> None:
        state = await self._store.chat_of(session.user, seat.live.id)
        if state is None:
            raise NoSuchRoomError(f"there is no room {seat.address} any more")
        answer(chat_record(state))

    async def _change(
        self,
        session: Session,
        seat: Seat,
        kind: EntryKind,
        members: dict[str, object],
        change: Change,
    ) -> None:
        self._take(session)
        draft = self._draft(session, kind, members)
        await self._store.append(seat.live.id, draft, change)

    def _draft(
        self,
        session: Session,
        kind: EntryKind,
        members: dict[str, object] | None = None,
    ) -> Draft:
        now_ms = self._clock.now_ms()
        tail = encode_tail(session.user, kind, now_ms, members or {})
        return Draft(session.user, kind, now_ms, tail)

    def _take(self, session: Session) -> None:
        self._user_rate.take(session.user, self._clock.monotonic())


def _check_topic(topic: str) -> None:
    if len(topic.encode()) > MAX_TOPIC_BYTES:
        raise TooLargeError(f"a topic has at most {MAX_TOPIC_BYTES} bytes")
