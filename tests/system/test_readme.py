"""The README agrees with the code: commands, keys, targets."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from client.commands import make_registry
from client.keys.actions import ACTIONS, shown_keys
from tests import ROOT
from tests.fakes.raw_client import RawClient
from tests.helpers import fresh_name, logged_in
from tests.system.daemon import QUICK, Daemon

README = (ROOT / "README.md").read_text()

pytestmark = pytest.mark.system


def command_rows() -> list[str]:
    """Return the README's table of commands, generated from the client's own."""
    rows = ["| Command | What it does |", "| --- | --- |"]
    for group, commands in make_registry().groups().items():
        rows.append(f"| **{group}** | |")
        for command in commands:
            also = "".join(f", `/{alias}`" for alias in command.aliases)
            title = command.title.replace("|", "\\|")
            rows.append(
                f"| `{title}`{also} | {command.help.replace('|', chr(92) + '|')} |"
            )
    return rows


def test_the_table_of_commands_is_that_of_the_client() -> None:
    table = README.split("<!-- commands", 1)[1].split("-->\n", 1)[1]
    assert table.split("<!-- end", 1)[0].strip() == "\n".join(command_rows())


def test_the_keys_that_are_named_are_those_of_the_client() -> None:
    table = README.split("| Keys |", 1)[1].split("\n\n", 1)[0]
    keys = [row.split("|")[1] for row in table.splitlines()[2:]]
    named = {
        key for cell in keys for key in re.split("; | or | to |, ", cell.strip()) if key
    }
    known = {key for action in ACTIONS for key in shown_keys(action).split(", ")}
    # The end of the input is no action: it cannot be given another key.
    assert named - known == {"Ctrl+D"}


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"make (run|chat|test|lint|bench)\b", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_file_that_is_linked_exists() -> None:
    links = [x for x in re.findall(r"\]\(([^)#]+)\)", README) if ":" not in x]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    daemon = Daemon(tmp_path / "daemon", QUICK)
    try:
        yield await daemon.start()
    finally:
        await daemon.terminate()


async def test_the_example_client_answers_who_writes_to_it(
    daemon: Daemon, tmp_path: Path
) -> None:
    (source,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len([line for line in source.splitlines() if line]) <= 25
    source = source.replace("data/tls", f"{daemon.data}/tls")
    source = source.replace("4747", str(daemon.tls[1]))
    path = tmp_path / "example.py"
    path.write_text(source)
    async with logged_in(daemon.tcp, fresh_name()) as (user,):
        process = await asyncio.create_subprocess_exec(sys.executable, path)
        try:
            await until_registered(user)
            await user.say("@echo", "is this true?")
            answer = await user.expect("message", text="IS THIS TRUE?")
            assert answer["from"] == "echo"
        finally:
            process.kill()
            await process.wait()


async def until_registered(user: RawClient) -> None:
    while (await user.request("whois", user="echo"))["type"] == "error":
        pass
