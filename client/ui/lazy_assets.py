"""What takes long to load, and is loaded only when something of it is to be shown.

No frame waits: shortcodes and code stand there plainly, until a thread has loaded the
table of emoji or the lexers for that code. Then all is drawn anew.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any

from client.ui.composer import emoji
from client.ui.messages import highlight
from client.ui.timeline.timeline import Timeline


class LazyAssets:
    """Loads what a timeline would have shown, had it been there.

    Args:
        timeline: Where it is shown.
        spawn: Runs something beside everything else.
        paint_soon: Called when there is more to be shown.
    """

    def __init__(
        self,
        timeline: Timeline,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        paint_soon: Callable[[], None],
    ) -> None:
        self._timeline = timeline
        self._spawn = spawn
        self._paint_soon = paint_soon
        self._wants_emoji = False
        self._is_loading = False
        timeline.emoji = self._emoji

    def painted(self) -> None:
        """Load what the frame had to do without."""
        if self._is_loading:
            return
        lexers = highlight.missing()
        if lexers or self._wants_emoji:
            self._is_loading = True
            self._spawn(self._load(lexers, self._wants_emoji))

    def _emoji(self, name: str) -> str | None:
        if emoji.is_loaded():
            return emoji.find(name)
        self._wants_emoji = True
        return None

    async def _load(self, lexers: Iterable[str], wants_emoji: bool) -> None:
        try:
            if wants_emoji:
                await asyncio.to_thread(emoji.load)
            await asyncio.to_thread(highlight.load, lexers)
        finally:
            self._is_loading = False
            if wants_emoji:  # and what was wanted meanwhile: it is there, or never will
                self._wants_emoji = False
        # It is another function, which makes the timeline draw all of it anew.
        self._timeline.emoji = partial(self._emoji)
        self._paint_soon()
