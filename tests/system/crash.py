"""A client of the crash tests: sends with keys, keeps a journal on disk, resumes.

What it decides, and what is answered and seen, is in its journal before it acts on it,
as in a real client; so it may be killed at any moment and resume from the journal. It
runs inside the test's process, or as a process of its own:

    python -m tests.system.crash HOST PORT USER JOURNAL SEED CHAT…

There SIGUSR1 means: send nothing new. SIGKILL is for the rest.
"""

import asyncio
import json
import random
import secrets
import signal
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any

from tests.fakes.raw_client import Address, Json, RawClient, RefusedError

WINDOW = 8
SILENCE = 1.5
"""A connection is given up after so many seconds without any frame."""

TEMPORARY = {
    "rate_limited",
    "storage_full",
    "unavailable",
    "out_of_order",
    "server_stopping",
}


@dataclass
class Journal:
    """A participant's state on disk: lines of JSON, each written at once.

    Attributes:
        prefix: The prefix of the participant's keys.
        outbox: Messages by number, with chat and text, sent or not.
        answered: The seq of each number that was answered ``sent``.
        seen: Entries by chat as they were pushed, or fetched to fill a gap.
        wrong: Sentences about violated promises.
    """

    path: Path
    prefix: str = ""
    outbox: dict[int, tuple[str, str]] = field(default_factory=dict)
    answered: dict[int, int] = field(default_factory=dict)
    seen: dict[str, list[Json]] = field(default_factory=dict)
    have: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    _file: FileIO | None = None

    @classmethod
    def load(cls, path: Path) -> "Journal":
        """Read a journal; a last line that was cut by a kill is ignored."""
        journal = cls(path)
        text = path.read_text() if path.exists() else ""
        for line in text.split("\n")[:-1]:
            journal._take(*json.loads(line))
        if text and not text.endswith("\n"):
            path.write_text(text[: text.rindex("\n") + 1])
        if not journal.prefix:
            journal.write("prefix", secrets.token_urlsafe(16))
            journal.close()
        return journal

    def write(self, what: str, *details: Any) -> None:
        """Record something: on disk first."""
        if self._file is None:
            self._file = self.path.open("ab", buffering=0)
        self._file.write(json.dumps([what, *details]).encode() + b"\n")
        self._take(what, *details)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _take(self, what: str, *details: Any) -> None:
        if what == "prefix":
            (self.prefix,) = details
        elif what == "out":
            number, chat, text = details
            self.outbox[number] = (chat, text)
        elif what == "answered":
            number, seq = details
            self.answered[number] = seq
        elif what == "have":
            chat, seq = details
            self.have[chat] = seq
        elif what == "seen":
            chat, entry = details
            self.seen.setdefault(chat, []).append(entry)
            self.have[chat] = entry["seq"]
        elif what == "wrong":
            self.wrong += details

    @property
    def unanswered(self) -> list[int]:
        """The numbers of unanswered messages, oldest first."""
        return sorted(self.outbox.keys() - self.answered.keys())


class Participant:
    """One user with one device.

    Args:
        journal: From an earlier process, or new.
        chats: The chats to send to.
        chance: Decides which message comes next.
    """

    def __init__(
        self,
        address: Address,
        user: str,
        journal: Journal,
        chats: list[str],
        chance: random.Random,
    ) -> None:
        self.user = user
        self.journal = journal
        self.is_sending = True
        self.is_finishing = True
        self.reconnects = 0
        self.refusals = 0
        self._address = address
        self._chats = chats
        self._chance = chance
        self._in_flight: dict[int, int] = {}
        self._refused: list[int] = []
        # Chats that have begun on this connection; by the id of each requested page of
        # history, the chat and what was pushed by then; the last entry that was pushed,
        # and left to history, while a chat's gap was being filled.
        self._begun: set[str] = set()
        self._filling: dict[int, tuple[str, int]] = {}
        self._dropped: dict[str, int] = {}
        self._is_synced = False
        self._client: RawClient | None = None

    async def run(self) -> None:
        """Connect, and reconnect again and again, until cancelled."""
        try:
            while True:
                try:
                    await self._live()
                except (OSError, TimeoutError, RefusedError) as error:
                    if isinstance(error, RefusedError) and error.code not in TEMPORARY:
                        raise
                    self.reconnects += 1
                    await asyncio.sleep(0.02 + self._chance.random() * 0.1)
                finally:
                    self.cut()
        except Exception as error:
            self.wrong(f"it broke: {error!r}")
            raise
        finally:
            self.journal.close()

    def cut(self) -> None:
        """Drop the connection without closing it properly."""
        if self._client is not None:
            self._client.abort()
            self._client = None

    def wrong(self, sentence: str) -> None:
        """Record a violated promise."""
        self.journal.write("wrong", f"{self.user}: {sentence}")

    @property
    def is_settled(self) -> bool:
        """Whether nothing is sent, refused or being filled any more."""
        is_done = not self.journal.unanswered or not self.is_finishing
        return self._is_synced and is_done and not self._filling

    @property
    def progress(self) -> str:
        """What is left to do; changes whenever something was done."""
        left, have = len(self.journal.unanswered), sum(self.journal.have.values())
        filling = sorted(self._filling.values())
        return f"synced {self._is_synced}, {left} left, filling {filling}, have {have}"

    async def _live(self) -> None:
        self._in_flight = {}
        self._refused = []
        self._filling = {}
        self._begun = set()
        self._dropped = {}
        self._is_synced = False
        client = self._client = await RawClient.connect(self._address)
        await self._log_in(client)
        unsent = self.journal.unanswered if self.is_finishing else []
        self._fill_window(client, unsent)
        while True:
            message = await self._next(client)
            self._handle(client, message)
            if self._refused and not self._in_flight:
                # Only when all replies are here may anything be sent again, in order:
                # a new send in between would overtake what was refused.
                unsent = sorted([*self._refused, *unsent])
                self._refused = []
            if not self._refused:
                self._fill_window(client, unsent)

    async def _next(self, client: RawClient) -> Json:
        """Return the next message; raise TimeoutError when the link is dead."""
        try:
            async with asyncio.timeout(SILENCE):
                return await client.take(lambda _: True, "anything")
        except TimeoutError:
            client.send("ping", id=1)
        async with asyncio.timeout(SILENCE):
            return await client.take(lambda _: True, "a sign of life")

    async def _log_in(self, client: RawClient) -> None:
        # A server that hangs during the login is a dead link too.
        async with asyncio.timeout(10):
            await client.expect("hello")
            ready = await client.login(self.user, sync="ask")
            records: list[Json] = ready["chats"]
            more = ready["more"]
            while more:
                page = await client.expect("chats")
                records += page["chats"]
                more = page["more"]
        have = self.journal.have
        last = {record["chat"]: record["last"] for record in records}
        for chat, seq in have.items():
            if last.get(chat, 0) < seq:
                self.wrong(f"{chat} ends at {last.get(chat)}, but {seq} was seen")
        for number, seq in self.journal.answered.items():
            chat = self.journal.outbox[number][0]
            if last.get(chat, 0) < seq:
                self.wrong(f"{chat} ends at {last.get(chat)}, but {seq} was answered")
        client.send("sync", id=2, have=have)

    def _fill_window(self, client: RawClient, unsent: list[int]) -> None:
        while len(self._in_flight) < WINDOW:
            if unsent:
                number = unsent.pop(0)
            elif self.is_sending:
                number = self._make_message()
            else:
                return
            chat, text = self.journal.outbox[number]
            id_ = 10 + number
            self._in_flight[id_] = number
            key = f"{self.journal.prefix}-{number}"
            client.send("send", id=id_, chat=chat, text=text, key=key)

    def _make_message(self) -> int:
        number = len(self.journal.outbox)
        chat = self._chance.choice(self._chats)
        size = self._chance.choice((0, 0, 0, 40, 900))
        text = f"{self.user} {number} {'x' * size}"
        self.journal.write("out", number, chat, text)
        return number

    def _handle(self, client: RawClient, message: Json) -> None:
        kind = message["type"]
        if kind == "message":
            self._see(client, message)
        elif kind == "sent":
            self._answer(message)
        elif kind == "history":
            self._fill(client, message)
        elif kind == "synced":
            self._is_synced = True
        elif kind == "error":
            self._refuse(message)
        elif kind == "closing":
            raise ConnectionError(message["code"])

    def _answer(self, message: Json) -> None:
        number = self._in_flight.pop(message["re"])
        chat, _ = self.journal.outbox[number]
        if message["chat"] != chat:
            self.wrong(f"number {number} was answered for {message['chat']}")
        if number in self.journal.answered:
            self.wrong(f"number {number} was answered twice")
        self.journal.write("answered", number, message["seq"])

    def _refuse(self, message: Json) -> None:
        number = self._in_flight.pop(message.get("re", 0), None)
        if message["code"] not in TEMPORARY:
            self.wrong(f"{number} was refused: {message['code']} {message['reason']}")
        elif number is None:
            raise ConnectionError(message["code"])
        else:
            self.refusals += 1
            self._refused.append(number)

    def _see(self, client: RawClient, message: Json) -> None:
        chat, seq, prev = message["chat"], message["seq"], message["prev"]
        have = self.journal.have.get(chat, 0)
        is_first = chat not in self._begun
        self._begun.add(chat)
        if any(chat == filling for filling, _ in self._filling.values()):
            self._dropped[chat] = seq
        elif seq <= have:
            # Only a page of history may have overtaken a push.
            if chat not in self._dropped:
                self.wrong(f"{chat} {seq} came again, after {have}")
        elif prev == have:
            self._remember(chat, message)
        else:
            # A backlog that was cut at its limit begins with a gap; no other may.
            if not is_first:
                self.wrong(f"{chat} {seq} follows {prev}, but {have} was the last")
            self._dropped[chat] = seq
            self._ask(client, chat)

    def _ask(self, client: RawClient, chat: str) -> None:
        id_ = next(id_ for id_ in range(3, 10) if id_ not in self._filling)
        self._filling[id_] = (chat, self._dropped[chat])
        after = self.journal.have.get(chat, 0)
        client.send("history", id=id_, chat=chat, after=after, limit=200)

    def _fill(self, client: RawClient, page: Json) -> None:
        chat, pushed = self._filling.pop(page["re"])
        for message in page["messages"]:
            have = self.journal.have.get(chat, 0)
            if message["prev"] != have:
                self.wrong(f"{chat}: history gives {message['prev']} after {have}")
            self._remember(chat, message)
        have = self.journal.have.get(chat, 0)
        if not page["messages"] and have < pushed:
            self.wrong(f"{chat}: history ends at {have}, before {pushed}")
        elif page["messages"] or have < self._dropped[chat]:
            self._ask(client, chat)

    def _remember(self, chat: str, message: Json) -> None:
        kept = {k: message.get(k) for k in ("seq", "prev", "from", "kind", "text")}
        self.journal.write("seen", chat, kept)


def main(arguments: Iterable[str]) -> None:
    """Run one participant until it is killed."""
    host, port, user, path, seed, *chats = arguments
    journal = Journal.load(Path(path))
    participant = Participant(
        (host, int(port)), user, journal, chats, random.Random(seed)
    )

    async def run() -> None:
        loop = asyncio.get_running_loop()

        def stop() -> None:
            participant.is_sending = False

        loop.add_signal_handler(signal.SIGUSR1, stop)
        await participant.run()

    asyncio.run(run())


if __name__ == "__main__":
    main(sys.argv[1:])
