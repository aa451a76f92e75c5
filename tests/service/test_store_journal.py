"""A second engine: one new file, and one line in the table of engines."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatd.settings import data_folder
from chatd.store.base import Store
from chatd.store.open import ENGINES, open_store
from chatd.store.sqlite import SqliteStore
from tests.fakes.journal_store import JOURNAL, SUFFIX
from tests.helpers import fresh_name, logged_in
from tests.service.conftest import serving
from tests.service.store_conformance import DurabilityRules, FollowRules, LogRules
from tests.service.store_conformance_chats import (
    ChatRules,
    CursorRules,
    InvitationRules,
    RecordRules,
)
from tests.service.store_conformance_files import FileRules
from tests.service.store_conformance_keys import KeyRules
from tests.service.test_store_sqlite import SqliteHarness


@pytest.fixture(autouse=True)
def _engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, SUFFIX, JOURNAL)


class JournalHarness(SqliteHarness):
    """A journal in a folder; of what a kill leaves, only the journal counts."""

    @property
    def path(self) -> Path:
        return super().path.with_suffix(SUFFIX)

    async def open(self) -> Store:
        return await open_store(self.path)

    async def kill(self, store: Store) -> None:
        journal = self.path
        self._number += 1
        self.path.parent.mkdir()
        shutil.copy(journal, self.path)
        await store.close()


@pytest.fixture
def harness(tmp_path: Path) -> JournalHarness:
    return JournalHarness(tmp_path)


@pytest.fixture
async def store(harness: JournalHarness) -> AsyncIterator[Store]:
    opened = await harness.open()
    yield opened
    await opened.close()


class TestJournal(
    LogRules,
    FollowRules,
    DurabilityRules,
    KeyRules,
    ChatRules,
    CursorRules,
    InvitationRules,
    RecordRules,
    FileRules,
):
    """The whole conformance suite, against the journal."""


async def test_a_server_keeps_what_it_is_told_with_another_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_folder, "DATABASE_FILE", f"chatd{SUFFIX}")
    user = fresh_name()
    async with serving(tmp_path) as lab, logged_in(lab.tcp, user) as (client,):
        await client.request("create", room="#lab")
        sent = await client.request("send", chat="#lab", text="kept", key="k")
    async with serving(tmp_path) as lab:
        assert not (lab.data / "chatd.db").exists()
        store = lab.service.chats._store
        assert isinstance(store, SqliteStore)
        room = await store.find_room("lab")
        assert room is not None
        entries = await store.read(room.id, 0, 9)
    assert [entry.kind for entry in entries] == ["create", "text"]
    assert entries[-1].seq == sent["seq"]
