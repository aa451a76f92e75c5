"""Commands on their way: who waits for them, and what came of them.

A job is an ``Append``, or a ``Call`` of any other command. The machine sets in it what
came of it, so that thousands of appends do not take thousands of outcomes.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from msgspec import Struct

from chatd.protocol.entries import Draft
from chatd.protocol.errors import ChatError
from chatd.store.commands import AnyCommand, AppendEntry, Command
from chatd.store.values import Change

_log = logging.getLogger(__name__)


class Append(Struct, gc=False):
    """An entry on its way into a log; the machine sets the fields from ``seq`` on.

    ``on_done`` is called on the event loop, after the follower was given the entry,
    with a list of appends: consecutive ones of one commit that share the callback (the
    same object) are reported in one call. By then either ``error`` is set, or ``seq``
    and ``time_ms`` are those of the entry that the key stands for, which is an earlier
    one if ``duplicate``.
    """

    chat: int
    draft: Draft
    on_done: Callable[[list["Append"]], None]
    change: Change | None = None
    seq: int = 0
    time_ms: int = 0
    duplicate: bool = False
    error: ChatError | None = None


class Call(Struct, gc=False):
    """Any other command on its way; the machine sets ``result`` or ``error``."""

    command: Command[Any]
    future: "asyncio.Future[Any] | None" = None
    result: Any = None
    error: ChatError | None = None


Job = Append | Call

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[AnyCommand]).decode


def encode_batch(jobs: Iterable[Job]) -> bytes:
    """Return the commands of a batch as bytes, for another machine."""
    return _encode(
        [
            AppendEntry(job.chat, job.draft, job.change)
            if isinstance(job, Append)
            else job.command
            for job in jobs
        ]
    )


def decode_batch(data: bytes) -> list[Job]:
    """Return jobs for the commands that were encoded, which nobody waits for.

    Raises:
        msgspec.DecodeError: It is something else.
    """
    return [
        Append(command.chat, command.draft, _ignore, command.change)
        if isinstance(command, AppendEntry)
        else Call(command)
        for command in _decode(data)
    ]


def _ignore(appends: list[Append]) -> None:
    """Tell nobody."""


def fail(batch: Iterable[Job], error: ChatError) -> None:
    """Report that nothing was stored."""
    for job in batch:
        job.error = error
        if isinstance(job, Append):
            job.seq = 0
            job.duplicate = False
    report(batch)


def report(batch: Iterable[Job]) -> None:
    """Tell those who wait what came of their commands; on the event loop."""
    run: list[Append] = []
    on_done = None
    for job in batch:
        if isinstance(job, Append):
            if job.on_done is on_done:
                run.append(job)
            else:
                _tell_run(run)
                on_done = job.on_done
                run = [job]
        elif job.future is not None:
            resolve(job.future, job.result, job.error)
    _tell_run(run)


def _tell_run(run: list[Append]) -> None:
    if not run:
        return
    try:
        run[0].on_done(run)
    except Exception:  # noqa: BLE001 - a bug in one must not leave others unanswered
        _log.exception("reporting the outcome of appends failed")


def resolve(
    future: "asyncio.Future[Any]", result: object, failure: Exception | None
) -> None:
    """Give a future its result or failure, if a caller still waits for it."""
    if future.done():  # the caller was cancelled
        return
    if failure is not None:
        future.set_exception(failure)
    else:
        future.set_result(result)
