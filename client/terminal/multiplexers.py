"""tmux and GNU screen: detects them, and passes escape sequences through them."""

from collections.abc import Mapping
from typing import Literal

_ESC = "\x1b"

_SCREEN_PIECE = 180
"""Characters of a piece: screen passes on 768 bytes at once, framing included."""


def multiplexer(environment: Mapping[str, str]) -> Literal["tmux", "screen"] | None:
    """Return the multiplexer between the program and the terminal, if there is one."""
    term = environment.get("TERM", "")
    if environment.get("TMUX") or term.startswith("tmux"):
        return "tmux"
    if environment.get("STY") or term.startswith("screen"):
        return "screen"
    return None


def pass_through(sequence: str, environment: Mapping[str, str]) -> str:
    """Return a sequence wrapped so that tmux or screen pass it to the terminal."""
    match multiplexer(environment):
        case "tmux":
            return f"{_ESC}Ptmux;{sequence.replace(_ESC, _ESC + _ESC)}{_ESC}\\"
        case "screen":
            # It would write a longer one on the screen as text.
            pieces = (
                sequence[at : at + _SCREEN_PIECE]
                for at in range(0, len(sequence), _SCREEN_PIECE)
            )
            return "".join(f"{_ESC}P{piece}{_ESC}\\" for piece in pieces)
        case None:
            return sequence
