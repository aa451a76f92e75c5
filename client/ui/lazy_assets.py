"""Loads slow assets, the emoji table and Pygments lexers, once a message needs them.

No frame waits for them: shortcodes and code are shown plainly until a thread has loaded
the table or the lexers for that code. Then the timeline is rendered again.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any

from client.ui.composer import emoji
from client.ui.messages import highlight
from client.ui.timeline.timeline import Timeline


class LazyAssets:
    """Loads the assets that a timeline lacked while it was rendered.

    Args:
        timeline: Shows them; its ``emoji`` is set here.
        spawn: Runs a coroutine as a task.
        paint_soon: Called when assets have been loaded.
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
        """Start to load what the last frame lacked, if anything."""
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
            if wants_emoji:  # also if it was wanted again meanwhile, or failed
                self._wants_emoji = False
        # A new object, so that the style differs and all rows are rendered again.
        self._timeline.emoji = partial(self._emoji)
        self._paint_soon()
