"""The protocol's page (chatd/protocol/README.md) agrees with the code."""

import json
import re
from itertools import compress
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from chatd.core.files.rules import MAX_BEGUN, MAX_NAME_BYTES
from chatd.core.files.sweep import MAX_UPLOAD_DAYS
from chatd.core.files.tickets import MAX_PER_USER, TICKET_SECONDS
from chatd.core.files.transfers import STALLED_SECONDS
from chatd.listeners.native.data import REFUSAL_SECONDS
from chatd.protocol import errors
from chatd.protocol.frames import (
    MAX_BODY_BEFORE_LOGIN,
    MAX_BODY_DEFAULT,
    MAX_BODY_FROM_SERVER,
)
from chatd.protocol.messages import (
    MAX_DEPTH,
    REQUESTS,
    SERVER_MESSAGES,
    InvalidBodyError,
    encode_message,
    parse_request,
    parse_server_message,
)
from chatd.protocol.rights import RIGHTS, Role
from chatd.settings.config import FileSettings, LimitSettings

PAGE = (Path(errors.__file__).parent / "README.md").read_text("utf-8")
OFFERED, _, MISSING = PAGE.partition("## 9. Not in this version")

FILES = OFFERED.partition("## 8. Files")[2]

REQUEST_TYPES = [str(cls.__struct_config__.tag) for cls in REQUESTS]
SERVER_TYPES = [str(cls.__struct_config__.tag) for cls in SERVER_MESSAGES]


def examples(text: str, side: str) -> list[str]:
    """Return the bodies that one side (C or S) sends, each joined to one line."""
    found = []
    lines = iter(text.splitlines())
    for line in lines:
        match = re.match(rf" +{side} (\{{.*)", line)
        if match:
            body = match[1]
            while body.count("{") > body.count("}"):
                body += next(lines).strip()
            found.append(body)
    return found


def codes_on_the_page() -> set[str]:
    _, _, rest = PAGE.partition("The codes:\n")
    text, _, _ = rest.partition("The last message of a connection")
    blocks = [line for line in text.splitlines() if line.startswith("    ")]
    return set(" ".join(blocks).split())


def codes_of(cls: type[errors.ChatError]) -> set[str]:
    # The admin commands have codes of their own, which are never sent here.
    of_protocol = [c for c in cls.__subclasses__() if c.__module__ == errors.__name__]
    return {cls.code}.union(*map(codes_of, of_protocol))


def missing_types() -> list[str]:
    shown = [json.loads(body)["type"] for body in examples(MISSING, "C")]
    _, _, listed = MISSING.partition("**Administering rooms.**")
    words = re.findall(r"`(\w+)`", listed)
    answers = {"ok", "target", "by", "banned", "muted", "blocked"}
    return sorted({*shown, *words} - answers)


def test_the_examples_are_found() -> None:
    assert len(examples(OFFERED, "C")) > 20
    assert len(examples(OFFERED, "S")) > 20
    assert len(missing_types()) > 10


@pytest.mark.parametrize("body", examples(OFFERED, "C"))
def test_what_clients_send_on_the_page_is_a_request(body: str) -> None:
    request = parse_request(body.encode())
    known = {field.encode_name for field in msgspec.structs.fields(request)}
    # The code knows every field that the page shows.
    assert set(json.loads(body)) <= known | {"type"}


@pytest.mark.parametrize("body", examples(OFFERED, "S"))
def test_what_the_server_sends_on_the_page_is_encoded_like_that(body: str) -> None:
    message = parse_server_message(body.encode())
    assert message is not None
    assert json.loads(encode_message(message)) == json.loads(body)


@pytest.mark.parametrize("body", examples(OFFERED, "S"))
def test_type_comes_first_and_re_second(body: str) -> None:
    names = list(json.loads(body))
    assert names[0] == "type"
    assert "re" not in names or names[1] == "re"


@pytest.mark.parametrize("type_", REQUEST_TYPES)
def test_every_request_is_shown_on_the_page(type_: str) -> None:
    shown = {json.loads(body)["type"] for body in examples(OFFERED, "C")}
    # The one request that no client has to send.
    assert type_ in shown or (type_ == "pong" and "`pong`" in OFFERED)


@pytest.mark.parametrize("type_", SERVER_TYPES)
def test_every_message_of_the_server_is_shown_on_the_page(type_: str) -> None:
    shown = {json.loads(body)["type"] for body in examples(OFFERED, "S")}
    assert type_ in shown or type_ == "ping"  # shown as the client's


def test_the_list_of_codes_is_that_of_the_code() -> None:
    assert codes_on_the_page() == codes_of(errors.ChatError)


def test_the_table_of_rights_is_that_of_the_code() -> None:
    rows = re.findall(r"^  \| `(\w+)`.*?\|((?: \w+ \|){4}) `(\w+)` \|$", PAGE, re.M)
    roles = get_args(Role)
    found = {
        action: (
            set(compress(roles, ("yes" in cell for cell in cells.split("|")))),
            code,
        )
        for action, cells, code in rows
    }
    assert found == {
        action: (set(right.roles), right.error.code) for action, right in RIGHTS.items()
    }


def test_the_temporary_codes_are_those_of_the_code() -> None:
    _, _, rest = PAGE.partition("and the temporary ones")
    line = next(line for line in rest.splitlines() if line.startswith("    "))
    assert set(line.split()) == codes_of(errors.TemporaryError)


@pytest.mark.parametrize("type_", missing_types())
def test_what_is_not_in_this_version_is_an_unknown_type(type_: str) -> None:
    with pytest.raises(InvalidBodyError) as caught:
        parse_request(json.dumps({"type": type_, "id": 1}).encode())
    assert caught.value.error.code == "unknown_type"


@pytest.mark.parametrize("number", [MAX_BODY_BEFORE_LOGIN, MAX_BODY_DEFAULT, MAX_DEPTH])
def test_the_bounds_of_a_body_are_on_the_page(number: int) -> None:
    section = PAGE.partition("## 1.")[2].partition("## 2.")[0]
    assert f"{number:,}" in section


def test_the_largest_frame_of_the_server_is_on_the_page() -> None:
    assert MAX_BODY_FROM_SERVER == 1 << 20
    assert "server to client 1 MiB" in PAGE


@pytest.mark.parametrize(
    "words",
    [
        f"1 to {MAX_NAME_BYTES} bytes of UTF-8",
        f"may have {MAX_BEGUN} unfinished uploads",
        f"within {TICKET_SECONDS:g} s",
        f"more than {MAX_PER_USER} unused ones",
        f"not moved for {STALLED_SECONDS:g} s",
        f"discards for up to {REFUSAL_SECONDS:g} s",
        f"`files.size` ({FileSettings().size >> 30} GiB)",
        f"`files.free_bytes` ({FileSettings().free_bytes >> 30} GiB)",
        f"`files.transfers` ({FileSettings().transfers})",
        f"`files.user_transfers` ({FileSettings().user_transfers})",
    ],
)
def test_the_bounds_of_files_on_the_page_are_those_of_the_code(words: str) -> None:
    assert words in " ".join(FILES.split())


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("user_bytes", "`files.user_bytes` (no bound)"),
        ("total_bytes", "`files.total_bytes` (no bound)"),
        ("expire_days", "`files.expire_days`, 0 for never"),
    ],
)
def test_what_has_no_bound_unless_configured_is_said_so(key: str, words: str) -> None:
    assert getattr(FileSettings(), key) == 0
    assert words in " ".join(FILES.split())


def test_an_unfinished_upload_is_kept_for_as_long_as_the_page_says() -> None:
    assert MAX_UPLOAD_DAYS == 1
    assert "removed a day after it was begun" in " ".join(FILES.split())


def test_the_default_beside_a_limit_is_that_of_the_code() -> None:
    defaults = msgspec.structs.asdict(LimitSettings())
    shown = re.findall(r"`(?:limits\.)?(\w+)`\s\(([\d,]+)\)", OFFERED)
    limits = [(key, number) for key, number in shown if key in defaults]
    assert len({key for key, _ in limits}) > 8
    for key, number in limits:
        assert (key, defaults[key]) == (key, float(number.replace(",", "")))
