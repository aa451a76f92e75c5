"""The full screen shows hostile and complex texts, and pastes, without disorder."""

import asyncio
import random
import re
import unicodedata
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from chatd.text.safe import clean
from tests.fakes.raw_client import RawClient
from tests.helpers import logged_in
from tests.system.daemon import Daemon
from tests.system.full_screen import (
    FullScreen,
    MakeFullScreen,
    register,
    starter,
)

pytestmark = pytest.mark.system

F3 = "\x1bOR"
SIZES = [(80, 24), (120, 40), (60, 15)]
NAMES = [f"{columns}x{rows}" for columns, rows in SIZES]

HOSTILE = {
    "C0": "".join(map(chr, range(0x20))) + "end",
    "C1": "".join(map(chr, range(0x7F, 0xA0))) + "end",
    "title": "\x1b]0;owned\a\x1b]2;owned\x1b\\\x9d0;owned\x9c",
    "clipboard and links": "\x1b]52;c;b3duZWQ=\a\x1b]8;;http://owned/\x1b\\x",
    "cursor": "\x1b[2J\x1b[H\x1b[10A\x1b[3;1Howned\x1b[1;24r\x1bM\x1bc\x1b7\x1b8",
    "modes": "\x1b[?1049l\x1b[?25l\x1b[?1000h\x1b[?2004l\x1b(0qqq\x0e\x1b[20h",
    "colours": "\x1b[31;1;7m red \x9b42m green",
    "strings": "\x1bPq#0;2;0;0;0#0~~\x1b\\\x1b_Gf=100;AAAA\x1b\\\x1b^x\x1b\\",
    "answers": "\x1b[6n\x1b[c\x05\x1b[>c\x1b[14t",
    "bidi": "\u202eowned\u202c\u2066a\u2067b\u2068c\u2069\u202d\u200f1\u200e2\u061c3",
    "zero width": "a" + "\u200b\u200c\u200d\u2060\ufeff\u00ad" * 200 + "b",
    "fillers": "\u115f\u1160\u3164\uffa0\u2800\u180e" * 40,
    "marks alone": "\u0301" * 100 + " " + "\u0e31" * 100,
    "a cluster of marks": "a" + "\u0301" * 100 + "b" + "\u0363\u20dd" * 50,
    "a cluster of emoji": "\u200d".join("\U0001f469" * 100),
    "a cluster of viramas": "\u0915" + "\u094d\u0937" * 100,
    "a cluster without end": "\u0915\u094d" * 2_500,
    "vowel signs": "\u0940\u0940a\u0940\u6f22\u0940" + "\u0915\u0940\u093e" * 60,
    "what stands for signs": "\U00040940\U00040940a\U0004093e \U0004093e" * 40,
    "interlinear": "a\ufff9b\ufffac\ufffb" * 40,
    "selectors": "a" + "\U000e0100\U000e01ef\U000e01f0\U000e0fff" * 50,
    "new marks": "a" + "\u0897" * 100 + "\U0001e08f" * 100,
    "blocks with nothing in them": "```\n```\n```py\n```\n~~~\n~~~\n> ",
    "jamo": "\u1100\u1161\u11a8" * 60 + "\u1100" * 100,
    "variations": "\u2764\ufe0f\u2764\ufe0e1\ufe0f\u20e3#\ufe0f\u20e3\u263a\ufe0f" * 20,
    "flags": "\U0001f1ef\U0001f1f5" * 40 + "\U0001f1ef",
    "tags": "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "skin": "\U0001f44d\U0001f3fd\U0001f3fb" * 40,
    "wide without blanks": "漢" * 500,
    "half and wide": "ｱ漢" * 200,
    "ligatures": "\ufdfa\ufdfd\u0bf5\U000122bb" * 30,
    "long without blanks": "x" * 3_000,
    "borders": "│" * 300 + "─" * 300,
    "line ends": "a\r\nb\rc\vd\fe\x85f\u2028g\u2029h\n\n\n\n\ni",
    "tabs": "\ta\t\tb" * 40,
    "private and not assigned": "\ue000\U0010fffd\u0378\ufdd0\uffff\ufffe" * 20,
    "markup": "**`*_[](" * 300 + "```" * 50 + "> " * 200,
    "nested marks": "*_" * 200 + "x" + "_*" * 200 + "[[[[" * 100 + "> " * 100,
    "as long as can be": "y" * 16_000,
    "a link": "https://example.org/" + "漢字\u202e\x1b[31m/" * 30,
    "mathematics": "𝔘𝕟𝕚𝕔𝕠𝕕𝕖 ℵ ∑ ⟨⟩ ﷽ ꧅ 𒐫",
}
SCRIPTS = {
    "שרה": ("שלום לכולם, השרת lab3 מלא ב-91%", "זה בְּסֵדֶר עכשיו"),
    "سلمى": ("مرحبا، القرص ممتلئ ٩١٪ على lab3", "تمّ الحلّ، شكرًا"),
    "佐藤": ("ディスクが満杯です、すぐに掃除します。", "漢字かな交じり文 ｶﾅ 전각"),
    "민준": ("서버를 다시 시작했어요 👍", "안녕하세요"),
    "अनीता": ("नमस्ते, सर्वर की क्षति ठीक है", "राष्ट्र की स्त्री"),
    "মিতা": ("বাংলা র‍্যাব", "ধন্যবাদ"),
    "தமிழ்": ("சேர்ந்து வணக்கம்", "நன்றி"),
    "aung": ("မြန်မာဘာသာ", "ကျေးဇူး"),
    "ธิดา": ("สวัสดีค่ะ ดิสก์เต็มแล้ว", "ขอบคุณ"),
    "zoé": ("ça marche 🎉 👩‍👩‍👧 🇯🇵 ❤️ 👍🏽 1️⃣ e\u0301te\u0301", "à bientôt"),
}
# All sequences that the client itself sends to a terminal.
_OURS = re.compile(
    "\x1b\\[[0-9;?]*[ABCDHJKXhlmrt]|\x1b[78M]"
    "|\x1b\\]2;[^\x1b\a]*\a|\x1b\\]8;[ -~]*\x1b\\\\"
)
# Control characters, except those that only move the cursor (BS, LF, CR).
_ACTING = re.compile("[\x00-\x07\x09\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_RANGES = (
    *((0x20, 0x250), (0x300, 0x370), (0x590, 0x780), (0x900, 0xE80), (0x1000, 0x1200)),
    *((0x1780, 0x1800), (0x1CD0, 0x2070), (0x20A0, 0x2800), (0x3000, 0x3400)),
    *((0xA000, 0xA500), (0xA960, 0xAC80), (0xFB00, 0xFE70), (0xFF00, 0x10000)),
    *((0x11000, 0x11500), (0x1D100, 0x1D800), (0x1F000, 0x1FB00), (0xE0000, 0xE01F0)),
)


@pytest.fixture
async def daemon(make_daemon: Callable[..., Daemon]) -> Daemon:
    return await make_daemon().start()


@pytest.fixture
def at(daemon: Daemon, tmp_path: Path) -> Iterator[MakeFullScreen]:
    """Start ``chat`` for a user at a new terminal."""
    made: list[FullScreen] = []
    yield starter(daemon, tmp_path, made)
    for terminal in made:
        terminal.close()


@pytest.fixture
async def eve(daemon: Daemon) -> AsyncIterator[RawClient]:
    """A user whose client is not ours, in #ops."""
    async with logged_in(daemon.tcp, "eve") as (client,):
        await client.ask("create", room="#ops")
        yield client


@pytest.fixture(params=SIZES[:2], ids=NAMES[:2])
async def alice(
    request: pytest.FixtureRequest, daemon: Daemon, at: MakeFullScreen, eve: RawClient
) -> FullScreen:
    """Alice, in #ops, with chats on the left and members on the right."""
    columns, rows = request.param
    await register(daemon, "alice")
    alice = at("alice", columns=columns, rows=rows)
    await alice.is_online()
    alice.type("/join #ops\r")
    await alice.says("alice joined")
    if columns < 120:
        alice.type(F3)
    # In a narrow window only one panel is shown.
    await alice.until(lambda: len(alice.borders) == (2 if columns >= 80 else 1))
    return alice


async def shown_whole(alice: FullScreen, eve: RawClient, mark: str) -> None:
    """Wait for what was sent, and check that nothing of it is out of place."""
    borders, modes = alice.borders, alice.modes
    await eve.say("#ops", mark)
    await alice.says(mark)
    # In the middle of a frame the cursor is hidden, and rows may be half written.
    await alice.until(lambda: (alice.borders, alice.modes) == (borders, modes))
    assert alice.titles == ["mine", "#ops - chat"]
    # The next message begins as every message does.
    row = next(row for row in alice.timeline if mark in row)
    assert re.fullmatch(
        rf"  (\d\d:\d\d (eve|   )       |  {' ' * 14})? *{mark}", row
    ), row


@pytest.mark.parametrize("alice", SIZES, ids=NAMES, indirect=True)
async def test_nothing_that_others_send_gets_out_of_its_row(
    alice: FullScreen, eve: RawClient
) -> None:
    await alice.until(lambda: alice.titles == ["mine", "#ops - chat"])
    begun = len(alice.transcript)
    for number, (name, text) in enumerate(HOSTILE.items()):
        await eve.say("#ops", text)
        await eve.say("#ops", f"see {text} end")
        await shown_whole(alice, eve, f"mark{number}")
        written = _OURS.sub("", alice.transcript[begun:])
        assert not _ACTING.search(written), name
    await eve.ask("topic", room="#ops", topic="".join(HOSTILE.values())[:300])
    await shown_whole(alice, eve, "topical")


@pytest.mark.parametrize("alice", SIZES, ids=NAMES, indirect=True)
async def test_a_soup_of_all_scripts_keeps_every_border_in_its_column(
    alice: FullScreen, eve: RawClient
) -> None:
    await alice.until(lambda: alice.titles == ["mine", "#ops - chat"])
    dice = random.Random(3)
    for number in range(40):
        words = (
            "".join(
                chr(dice.randrange(*dice.choice(_RANGES)))
                for _ in range(dice.randint(1, 12))
            )
            for _ in range(dice.randint(5, 60))
        )
        await eve.say("#ops", f"s {' '.join(words)}")
        if number % 8 == 7:
            await shown_whole(alice, eve, f"mark{number}")


async def test_people_write_in_their_own_script_and_can_be_read(
    alice: FullScreen, eve: RawClient, daemon: Daemon
) -> None:
    async with logged_in(daemon.tcp, *SCRIPTS) as people:
        for person in people:
            await person.ask("join", room="#ops")
            for text in SCRIPTS[person.user]:
                await person.say("#ops", text)
                await alice.until(lambda t=text: is_shown(alice, t))  # type: ignore[misc]
            assert is_shown(alice, person.user)
            assert len(alice.borders) == 2
        alice.type("/names\r")
        await alice.says(f"{len(SCRIPTS) + 2} people")
        assert all(is_shown(alice, person.user) for person in people)
        assert len(alice.borders) == 2


def is_shown(screen: FullScreen, text: str) -> bool:
    """Return whether a text is in the timeline, however it is wrapped."""

    def folded(text: str) -> str:
        return re.sub("[\\s\u200c\u200e]+", "", unicodedata.normalize("NFC", text))

    return folded(clean(text)) in folded(" ".join(screen.timeline))


# Pasting ------------------------------------------------------------------------------

LOG = "".join(
    f"{n:05} a line of some log, as long as lines are\n" for n in range(10_000)
)


async def paste(screen: FullScreen, data: str) -> None:
    """Let the terminal paste; it waits while the program does not read."""
    whole = data.encode()
    while whole:
        whole = whole[await asyncio.to_thread(screen.child.send, whole[:4_096]) :]
        assert screen.frame


async def test_a_paste_of_ten_thousand_lines_is_asked_about_and_not_sent(
    alice: FullScreen, eve: RawClient
) -> None:
    shown = alice.timeline
    await paste(alice, f"\x1b[200~{LOG}\x1b[201~")
    question = "A paste of 10,000 lines, 470 kB: what is it to be?"
    await alice.until(lambda: question in "\n".join(alice.frame))
    assert "a file, sent at once" in "\n".join(alice.frame)
    assert len(alice.borders) == 2
    alice.type("n")
    await alice.holds("message to #ops")
    assert alice.timeline == shown
    alice.type("hello\r")
    await eve.expect("message", text="hello", chat="#ops")
    assert "some log" not in str(eve.history)


async def test_a_paste_becomes_a_file_if_that_is_wanted(
    alice: FullScreen, eve: RawClient
) -> None:
    await paste(alice, f"\x1b[200~{LOG}\x1b[201~")
    await alice.until(lambda: "what is it to be?" in "\n".join(alice.frame))
    alice.type("f")
    sent = await eve.expect("message", kind="file", chat="#ops")
    assert sent["file"]["size"] == len(LOG)
    await alice.says(sent["file"]["name"])
    assert len(alice.borders) == 2


async def test_a_paste_without_brackets_is_not_sent_either(
    alice: FullScreen, eve: RawClient
) -> None:
    shown = alice.timeline
    await paste(alice, LOG.replace("\n", "\r"))
    last = "09999 a line of some log, as long as lines are"
    await alice.until(lambda: last in alice.composer)
    assert len(alice.borders) == 2
    alice.type("\x03")
    await alice.holds("message to #ops")
    assert alice.timeline[-len(shown) :] == shown
    alice.type("\x04")
    await alice.ended()
    assert "some log" not in str(await eve.log("#ops"))


async def test_a_short_paste_is_one_message_that_a_person_sends(
    alice: FullScreen, eve: RawClient
) -> None:
    alice.type("\x1b[200~one\rtwo\rthree\r\x1b[201~")
    await alice.holds("one\ntwo\nthree")
    alice.type("\r")
    await eve.expect("message", text="one\ntwo\nthree", chat="#ops")
