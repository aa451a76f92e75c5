"""The file commands for scripts, executed: from a login to the end of the process."""

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from client.cli import file_io
from client.cli.first_run import Login
from client.cli.run_chat import printer_for, while_linked, with_link
from client.cli.script_status import ScriptStatus
from client.commands.local_paths import Target, expand, find_target, is_folder_name
from client.link.link import Link
from client.storage.paths import Paths
from client.transfers.private_folder import passing_folder, private_folder

STDOUT = "-"


def run_send_files(
    paths: Paths,
    login: Login,
    chat: str,
    sources: Sequence[file_io.Source],
    text: str,
    timeout_seconds: float | None,
) -> None:
    """Send files; return once the server has stored all.

    Raises:
        TimeoutError: Not stored in time.
        ChatError: A file or the login was refused.
        LinkError: See ``client.errors``.
    """

    async def work(link: Link) -> None:
        sending = file_io.send_files(link, chat, sources, text, timeout_seconds)
        await while_linked(link, sending)

    stderr = ScriptStatus()
    stderr.watch("up", chat)
    asyncio.run(with_link(paths, login, work, is_waiting=False, stderr=stderr))


def run_get(
    paths: Paths,
    login: Login,
    chat: str,
    wanted: str | None,
    output: str | None,
    timeout_seconds: float | None,
) -> None:
    """Fetch a file and print where it was saved; or print the file itself.

    Args:
        paths: Where the client's files are.
        login: The server and the user.
        chat: The address.
        wanted: A seq or a name; None is the newest that others have sent.
        output: A folder, the path of a new file, ``-`` for stdout; None is the folder
            of downloads.
        timeout_seconds: For fetching it.

    Raises:
        TimeoutError: Not fetched in time.
        LocalPathError: It cannot be saved there.
        ChatError: It was refused.
        LinkError: See ``client.errors``.
    """

    def fetch(target: Target, is_kept: bool) -> Path:
        getting = partial(
            file_io.get_file,
            chat=chat,
            wanted=wanted,
            target=target,
            timeout_seconds=timeout_seconds,
            is_kept=is_kept,
        )
        return asyncio.run(_fetch(paths, login, chat, getting))

    if output != STDOUT:
        path = fetch(_target(output), is_kept=True)
        sys.stdout.buffer.write(os.fsencode(path) + b"\n")
        sys.stdout.buffer.flush()
        return
    # The reader of stdout has to get a whole file that was checked, or nothing; and as
    # after a kill there is no reader, nothing is kept to continue with.
    with private_folder(passing_folder(paths)) as folder:
        path = fetch(Target(folder=folder), is_kept=False)
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer, 1 << 20)
        sys.stdout.buffer.flush()


async def _fetch(
    paths: Paths,
    login: Login,
    chat: str,
    getting: Callable[[Link], Coroutine[Any, Any, Path]],
) -> Path:
    found: list[Path] = []

    async def work(link: Link) -> None:
        found.append(await while_linked(link, getting(link)))

    stderr = ScriptStatus()
    stderr.watch("down", chat)
    await with_link(paths, login, work, is_waiting=False, stderr=stderr)
    return found[0]


def _target(output: str | None) -> Target:
    if output is None:
        return Target()
    return find_target(expand(output), is_folder_name(output))


def run_files(
    paths: Paths, login: Login, chat: str, *, is_json: bool, count: int
) -> None:
    """Print the files of a chat, newest first."""

    async def work(link: Link) -> None:
        await file_io.list_files(link, chat, printer_for(paths, is_json), count)

    asyncio.run(with_link(paths, login, work))
