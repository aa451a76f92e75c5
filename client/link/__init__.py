"""The library's public interface: one user's link to one server.

``Link`` connects, logs in, stays connected, caches, and sends exactly once; bots
import it, and what it is opened with, from here. ``reconnect`` makes one connection
after another; ``sender`` drains the outbox in the order of ``send_order``;
``history_loader`` fetches older pages and fills gaps; ``persistence`` keeps the cache;
``signals`` sends cursors, typing and status; ``subscribers`` and ``streams`` pass
changes on.
"""

from client.link.link import Link
from client.link.reconnect import LinkState
from client.net.session import Timing
from client.storage.paths import Paths

__all__ = ["Link", "LinkState", "Paths", "Timing"]
