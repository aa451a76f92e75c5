"""The real daemon as a process: started on free ports, watched, stopped, killed.

It ends only the process that it started, by its process id.
"""

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from tests import PATIENCE
from tests.fakes.raw_client import Address

Settings = Mapping[str, Mapping[str, object]]

# Cheap logins, and no limits that slow down tests of something else.
QUICK: Settings = {
    "accounts": {"registration": "open", "iterations": 4096},
    "limits": {
        "messages_per_second": 0,
        "address_messages_per_second": 0,
        "registrations_per_hour": 0,
    },
    "log": {"level": "info"},
}


def free_ports(count: int) -> list[int]:
    """Return ports that are free, and not given to any other test until this one ends.

    They are below those that the system gives to connections. A process that takes one
    keeps the UDP port of that number, which nobody else here needs, so that processes
    of tests that run at the same time never get the same one.
    """
    ports: list[int] = []
    while len(ports) < count:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            try:
                udp.bind(("127.0.0.1", port))
                tcp.bind(("127.0.0.1", port))
            except OSError:
                continue
            udp.detach()  # kept until the process ends
        ports.append(port)
    return ports


def to_toml(settings: Settings) -> str:
    """Return settings as TOML; values are strings, numbers, booleans and lists."""

    def value(item: object) -> str:
        if isinstance(item, bool):
            return str(item).lower()
        if isinstance(item, list):
            return "[" + ", ".join(map(value, item)) + "]"
        if isinstance(item, str | Path):
            return '"' + str(item).replace("\\", "\\\\").replace('"', '\\"') + '"'
        return repr(item)

    lines = []
    for section, members in settings.items():
        lines.append(f"[{section}]")
        lines += [f"{key} = {value(item)}" for key, item in members.items()]
    return "\n".join(lines) + "\n"


class Daemon:
    """A data folder, and the process that serves it.

    Args:
        folder: Where everything is kept; made if it is missing.
        settings: Sections that override those of ``QUICK``.

    Attributes:
        tcp: The address of the plain listener; the same after every restart.
        tls: The address of the TLS listener.
        lines: What the last process printed on stdout.
    """

    def __init__(
        self, folder: Path, settings: Settings | None = None, data: Path | None = None
    ) -> None:
        self.folder = folder
        self.data = data or folder / "data"
        self.config = folder / "config.toml"
        ports = free_ports(2)
        self.tcp: Address = ("127.0.0.1", ports[0])
        self.tls: Address = ("127.0.0.1", ports[1])
        self.lines: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._printed = threading.Condition()
        folder.mkdir(parents=True, exist_ok=True)
        listen = [f"tcp://127.0.0.1:{ports[0]}", f"tls://127.0.0.1:{ports[1]}"]
        self.settings: dict[str, dict[str, Any]] = {
            "server": {"data": str(self.data), "listen": listen}
        }
        self.configure(QUICK)
        self.configure(settings or {})

    def configure(self, settings: Settings) -> None:
        """Change settings; they take effect at the next start."""
        for section, members in settings.items():
            self.settings.setdefault(section, {}).update(members)
        self.config.write_text(to_toml(self.settings))

    # The process --------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """The id of the running process."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether there is a process that has not ended."""
        return self._process is not None and self._process.poll() is None

    def spawn(self) -> None:
        """Start the process without waiting for it."""
        assert not self.is_running
        self.lines = []
        command = [sys.executable, "-m", "chatd", "--config", str(self.config)]
        with (self.folder / "stderr").open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        process = self._process
        threading.Thread(target=self._collect, args=(process,), daemon=True).start()

    def _collect(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        with process.stdout as printed:
            for line in printed:
                with self._printed:
                    self.lines.append(line.rstrip("\n"))
                    self._printed.notify_all()
        process.wait()
        with self._printed:
            self._printed.notify_all()

    def start_nowait(self) -> None:
        """Start the process and block until it says ``ready``.

        Raises:
            RuntimeError: It ended or hung instead.
        """
        self.spawn()
        with self._printed:
            is_settled = self._printed.wait_for(
                lambda: self._is_ready() or not self.is_running, PATIENCE
            )
        if not (is_settled and self._is_ready()):
            self.stop_whatever_happened()
            raise RuntimeError(f"the daemon did not start:\n{self.errors()[-3000:]}")

    def _is_ready(self) -> bool:
        return any(line.split()[:1] == ["ready"] for line in self.lines)

    async def start(self) -> Self:
        """Start the process and wait until it says ``ready``."""
        await asyncio.to_thread(self.start_nowait)
        return self

    async def wait(self) -> int:
        """Wait for the process to end by itself; return its exit status."""
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait, PATIENCE)

    async def terminate(self) -> int:
        """Send SIGTERM and return the exit status."""
        self.signal(signal.SIGTERM)
        return await self.wait()

    async def kill(self) -> None:
        """Send SIGKILL and wait until the process is gone."""
        self.signal(signal.SIGKILL)
        await self.wait()

    async def restart(self) -> None:
        """Kill the process and start another one on the same data folder."""
        await self.kill()
        await self.start()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        os.kill(self.pid, number)

    def stop_whatever_happened(self) -> None:
        """End the process if it still runs; for the end of a test."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(PATIENCE)

    async def run_to_its_end(self) -> tuple[int, str]:
        """Run a daemon that must refuse to start; return exit status and stderr.

        Raises:
            RuntimeError: It started nevertheless.
        """
        before = len(self.errors())
        self.spawn()
        try:
            status = await self.wait()
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"it started: {self.lines}") from None
        finally:
            self.stop_whatever_happened()
        return status, self.errors()[before:]

    # Inspection ---------------------------------------------------------------------

    def errors(self) -> str:
        """Return what all processes so far have written to stderr."""
        path = self.folder / "stderr"
        return path.read_text(errors="replace") if path.exists() else ""

    def resident_kib(self) -> int:
        """Return the process's memory (VmRSS)."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1])

    def open_files(self) -> int:
        """Return how many file descriptors the process holds."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))
