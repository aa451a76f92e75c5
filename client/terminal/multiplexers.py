"""tmux and GNU screen: which one is around, and how it passes sequences on."""

from collections.abc import Mapping
from typing import Literal

_ESC = "\x1b"

_SCREEN_PIECE = 180
"""So many characters screen passes on at once: 768 bytes, but for what is around."""


def multiplexer(environment: Mapping[str, str]) -> Literal["tmux", "screen"] | None:
    """Return what stands between the program and the terminal, if anything does."""
    term = environment.get("TERM", "")
    if environment.get("TMUX") or term.startswith("tmux"):
        return "tmux"
    if environment.get("STY") or term.startswith("screen"):
        return "screen"
    return None


def pass_through(sequence: str, environment: Mapping[str, str]) -> str:
    """Return a sequence so that it reaches the terminal behind tmux or screen."""
    match multiplexer(environment):
        case "tmux":
            return f"{_ESC}Ptmux;{sequence.replace(_ESC, _ESC + _ESC)}{_ESC}\\"
        case "screen":
            # What is longer it would write on the screen as text.
            pieces = (
                sequence[at : at + _SCREEN_PIECE]
                for at in range(0, len(sequence), _SCREEN_PIECE)
            )
            return "".join(f"{_ESC}P{piece}{_ESC}\\" for piece in pieces)
        case None:
            return sequence
