"""Parsing of requests: any body is a request or one refusal, with ``re`` if known."""

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatd.protocol.errors import BadRequestError, ChatError, UnknownTypeError
from chatd.protocol.messages import (
    MAX_ID,
    REQUESTS,
    SERVER_MESSAGES,
    History,
    InvalidBodyError,
    Message,
    Ping,
    Pong,
    Request,
    Send,
    ServerMessage,
    Sync,
    encode_message,
    parse_request,
    parse_server_message,
)

TAGS = [str(cls.__struct_config__.tag) for cls in REQUESTS]
MEMBERS = sorted({name for cls in REQUESTS for name in cls.__struct_fields__})

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["@bob", "#ops", "online", "public", "text", "", "\ud800"])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner)
    ),
    max_leaves=8,
)
ids = st.one_of(st.integers(-2, 5), st.sampled_from([MAX_ID, MAX_ID + 1]), values)
objects = st.builds(
    lambda fixed, more, extra: {**extra, **more, **fixed},
    st.fixed_dictionaries(
        {}, optional={"type": st.sampled_from([*TAGS, "nope"]) | values, "id": ids}
    ),
    st.dictionaries(st.sampled_from(MEMBERS), values, max_size=5),
    st.dictionaries(st.text(max_size=4), values, max_size=3),
)


def outcome(body: bytes) -> Request | InvalidBodyError:
    """Return the result of parsing a body; any other exception fails the test."""
    found: Request | InvalidBodyError
    try:
        found = parse_request(body)
    except InvalidBodyError as error:
        found = error
    if isinstance(found, InvalidBodyError):
        assert isinstance(found.error, ChatError)
        assert found.error.reason
    return found


def refusal(body: bytes) -> InvalidBodyError:
    """Return the refusal of a body."""
    found = outcome(body)
    assert isinstance(found, InvalidBodyError), found
    return found


def valid_id(value: object) -> int | None:
    """Return the value if section 2 allows it as ``id``, by code of the test's own."""
    is_id = isinstance(value, int) and not isinstance(value, bool)
    return value if is_id and 1 <= value <= 2**53 - 1 else None  # type: ignore[operator, return-value]


def load_strictly(body: bytes) -> Any:
    """Return the JSON value of a body by the standard library, or raise ValueError."""

    def refuse(text: str) -> None:
        raise ValueError(text)

    return json.loads(body.decode(), parse_constant=refuse)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_an_invalid_body(body: bytes) -> None:
    assert isinstance(outcome(body), Request | InvalidBodyError)


@given(
    st.sampled_from(TAGS),
    st.lists(
        st.sampled_from(
            [b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"1", b"-", b"e"]
            + [b"\\u", b"d800", b"NaN", b"null", b'"id"', b"\xff", b"\xc3", b" ", b"\n"]
        ),
        max_size=60,
    ),
)
def test_any_pieces_of_json_are_a_request_or_an_invalid_body(
    tag: str, pieces: list[bytes]
) -> None:
    body = b'{"type":"%b","id":3,"text":' % tag.encode() + b"".join(pieces)
    assert isinstance(outcome(body), Request | InvalidBodyError)
    assert isinstance(outcome(b"".join(pieces)), Request | InvalidBodyError)


@given(objects)
@example({"type": "send", "id": 5, "chat": "@bob", "text": "\ud800"})
@example({"type": "nope", "id": 5})
@example({"type": "ping", "id": True})
def test_a_valid_id_comes_back_whatever_else_is_wrong(body: dict[str, Any]) -> None:
    found = outcome(json.dumps(body).encode())
    got = found.id if isinstance(found, Request) else found.re
    assert got == valid_id(body.get("id"))


@given(objects)
def test_a_request_comes_only_of_its_own_type(body: dict[str, Any]) -> None:
    found = outcome(json.dumps(body).encode())
    if isinstance(found, Request):
        assert found.__struct_config__.tag == body["type"]
    else:
        known = body.get("type") in TAGS
        expected = BadRequestError if known else (UnknownTypeError, BadRequestError)
        assert isinstance(found.error, expected)


@given(st.integers() | values.filter(lambda value: not isinstance(value, dict)))
def test_what_is_no_object_is_a_bad_request_without_re(value: object) -> None:
    error = refusal(json.dumps(value).encode())
    assert isinstance(error.error, BadRequestError)
    assert error.re is None


@given(st.sampled_from(REQUESTS), st.data())
def test_what_was_encoded_parses_to_the_same_request(
    cls: type[Request], data: st.DataObject
) -> None:
    samples: dict[str, object] = {
        "chat": "@bob",
        "room": "#ops",
        "mechanism": "PLAIN",
        "status": "away",
        "seq": data.draw(st.integers(0, MAX_ID)),
        "file": "Zm9vYmFy",
        "ticket": "dGlja2V0",
        "name": "core.tar",
        "size": data.draw(st.integers(0, MAX_ID)),
        "sha256": "0" * 64,
        "key": "5mTzkW0q7R2nXvE8-18",
    }
    given_members: dict[str, Any] = {
        name: samples.get(name, data.draw(st.text(max_size=9)))
        for name in cls.__struct_fields__
        if name in samples or name in {"text", "user", "password", "topic"}
    }
    request = cls(id=data.draw(st.integers(1, MAX_ID)), **given_members)
    assert parse_request(encode_message(request)) == request


def nested(depth: int) -> bytes:
    """Return a ping whose deepest bracket is at ``depth``, the object's own being 1."""
    inner = depth - 1
    return b'{"type":"ping","id":4,"x":' + b"[" * inner + b"]" * inner + b"}"


def test_nesting_of_32_is_accepted() -> None:
    assert parse_request(nested(32)) == Ping(id=4)


@pytest.mark.parametrize("depth", [33, 40, 900, 10_000])
def test_nesting_deeper_than_32_is_a_bad_request(depth: int) -> None:
    error = refusal(nested(depth))
    assert isinstance(error.error, BadRequestError)
    assert "nested deeper than 32" in error.error.reason
    assert error.re in ((4,) if depth < 900 else (4, None))


@pytest.mark.parametrize("piece", [b"[", b"{", b'{"a":', b"[[],", b"]", b'[{"a":'])
def test_ten_thousand_brackets_are_a_bad_request(piece: bytes) -> None:
    assert isinstance(refusal(piece * 10_000).error, BadRequestError)


def test_brackets_inside_of_a_text_do_not_count_as_nesting() -> None:
    text = '[{"\\' * 200
    body = json.dumps({"type": "send", "chat": "@bob", "text": text}).encode()
    assert parse_request(body) == Send(chat="@bob", text=text)


def test_a_string_that_never_ends_is_refused_in_linear_time() -> None:
    # With quadratic work this body takes minutes, and the test's time limit ends it.
    body = b"{}" * 33 + b'"' + b'\\"' * 65_000
    assert isinstance(refusal(body).error, BadRequestError)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "nan"])
@pytest.mark.parametrize("member", ["x", "seq"])
def test_nan_and_infinity_are_not_json(text: str, member: str) -> None:
    body = b'{"type":"read","id":1,"chat":"@bob","seq":1,"%b":%b}'
    error = refusal(body % (member.encode(), text.encode()))
    assert isinstance(error.error, BadRequestError)


@pytest.mark.parametrize("digits", [19, 20, 100, 5_000, 100_000])
def test_a_huge_integer_is_a_bad_request(digits: int) -> None:
    body = b'{"type":"read","chat":"@bob","id":7,"seq":1' + b"0" * digits + b"}"
    assert isinstance(refusal(body).error, BadRequestError)


@pytest.mark.parametrize(
    "body",
    [
        b'{"type":"ping","id":3,"x":"\xff"}',
        b'{"type":"ping","id":3,"\xc3":1}',
        b'{"type":"ping","id":3,"x":"\xed\xa0\x80"}',
        b'\xef\xbb\xbf{"type":"ping","id":3}',
        '{"type":"ping","id":3}'.encode("utf-16"),
        '{"type":"ping","id":3}'.encode("utf-16-be"),
        '{"type":"ping","id":3}'.encode("utf-32-le"),
    ],
)
def test_a_body_that_is_not_utf_8_json_is_a_bad_request_without_re(body: bytes) -> None:
    error = refusal(body)
    assert isinstance(error.error, BadRequestError)
    assert error.re is None


@pytest.mark.parametrize("member", ['"x":"\\ud800"', '"\\udfff":1', '"x":["a\\uDBFF"]'])
def test_a_lone_surrogate_is_a_bad_request_with_re(member: str) -> None:
    error = refusal(f'{{"type":"ping","id":3,{member}}}'.encode())
    assert isinstance(error.error, BadRequestError)
    assert error.re == 3


def test_a_surrogate_pair_is_one_character() -> None:
    body = b'{"type":"send","chat":"@bob","text":"\\ud83d\\ude00"}'
    assert parse_request(body) == Send(chat="@bob", text="\U0001f600")


@pytest.mark.parametrize(
    ("body", "member"),
    [
        ({"type": "send", "chat": "@bob"}, "text"),
        ({"type": "send", "chat": 5, "text": "x"}, "chat"),
        ({"type": "send", "chat": "@bob", "text": ["x"]}, "text"),
        ({"type": "send", "chat": "@bob", "text": "x", "key": ""}, "key"),
        ({"type": "send", "chat": "@bob", "text": "x", "key": "k" * 65}, "key"),
        ({"type": "history", "chat": "@bob", "before": 1, "limit": 201}, "limit"),
        ({"type": "history", "chat": "@bob", "before": 1, "limit": 0}, "limit"),
        ({"type": "read", "chat": "@bob", "seq": -1}, "seq"),
        ({"type": "read", "chat": "@bob", "seq": True}, "seq"),
        ({"type": "read", "chat": "@bob", "seq": 1.5}, "seq"),
        ({"type": "sync", "have": {"@bob": "x"}}, "have"),
        ({"type": "sync", "have": []}, "have"),
        ({"type": "status", "status": "asleep"}, "status"),
        ({"type": "create", "room": "#a", "visibility": "hidden"}, "visibility"),
        ({"type": "ping", "id": 0}, "id"),
        ({"type": "ping", "id": "1"}, "id"),
        ({"id": 1}, "type"),
        ({"type": None, "id": 1}, "type"),
    ],
)
def test_the_refusal_names_the_member_that_is_wrong(
    body: dict[str, Any], member: str
) -> None:
    error = refusal(json.dumps(body).encode())
    assert isinstance(error.error, BadRequestError)
    assert member in error.error.reason


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"type":"send","type":"ping","id":4}', Ping(id=4)),
        (b'{"type":5,"id":4,"type":"ping"}', Ping(id=4)),
        (b'{"id":"x","id":4,"type":"ping"}', Ping(id=4)),
        (b'{"id":9,"type":"ping","id":4}', Ping(id=4)),
        (b'{"type":"sync","have":{"@bob":"","@bob":2}}', Sync(have={"@bob": 2})),
    ],
)
def test_of_duplicate_members_the_last_counts(body: bytes, expected: Request) -> None:
    assert parse_request(body) == expected


def test_a_wrong_last_duplicate_is_refused() -> None:
    assert refusal(b'{"id":4,"type":"ping","id":"x"}').re is None


def test_unknown_members_are_ignored() -> None:
    body = b'{"later":{"a":[1,2]},"type":"ping","id":1,"x":null}'
    assert parse_request(body) == Ping(id=1)


def test_the_type_may_stand_anywhere() -> None:
    body = b'{"limit":5,"chat":"@bob","before":9,"type":"history"}'
    assert parse_request(body) == History(chat="@bob", before=9, limit=5)


def test_white_space_around_the_object_is_json() -> None:
    assert parse_request(b' \r\n\t{ "type" : "ping" } \n') == Ping()


@pytest.mark.parametrize("rest", [b"{}", b"x", b"\0", b",", b"]"])
def test_bytes_after_the_object_are_a_bad_request(rest: bytes) -> None:
    assert isinstance(refusal(b'{"type":"ping"}' + rest).error, BadRequestError)


def test_an_unknown_type_is_named_in_the_refusal() -> None:
    error = refusal(b'{"type":"dance","id":12}')
    assert isinstance(error.error, UnknownTypeError)
    assert "dance" in error.error.reason
    assert error.re == 12


@pytest.mark.parametrize("cls", SERVER_MESSAGES)
def test_the_type_is_the_first_member_of_what_the_server_sends(
    cls: type[ServerMessage],
) -> None:
    samples: dict[str, Any] = {"chat": "@bob", "seq": 2, "time": 3, "more": True}
    wanted = {name: samples.get(name, "x") for name in cls.__struct_fields__}
    body = encode_message(cls(**{**wanted, "re": 1}))
    assert body.startswith(b'{"type":"%b"' % str(cls.__struct_config__.tag).encode())


def test_the_client_skips_types_that_it_does_not_know() -> None:
    assert parse_server_message(b'{"type":"fireworks","x":1}') is None


def test_the_client_reads_from_and_ignores_unknown_members() -> None:
    body = (
        b'{"type":"message","chat":"@bob","seq":2,"prev":1,"from":"bob","time":3,'
        b'"kind":"text","text":"hi","sparkles":true}'
    )
    message = parse_server_message(body)
    assert isinstance(message, Message)
    assert (message.from_, message.text) == ("bob", "hi")


@given(st.binary(max_size=100))
def test_any_bytes_are_a_server_message_or_an_invalid_body(body: bytes) -> None:
    try:
        found = parse_server_message(body)
    except InvalidBodyError:
        return
    assert found is None or isinstance(found, ServerMessage)


def test_the_client_refuses_a_broken_server_message() -> None:
    with pytest.raises(InvalidBodyError):
        parse_server_message(b'{"type":"pong","time":"soon"}')
    assert parse_server_message(b'{"type":"pong","time":1}') == Pong(time=1)


@given(values.filter(lambda value: not isinstance(value, float)))
def test_a_body_that_the_standard_library_refuses_is_refused(value: object) -> None:
    body = b'{"type":"ping","x":' + json.dumps(value).encode() + b"}"
    for broken in (body[:-1], body + b"}", body.replace(b":", b"", 1)):
        with pytest.raises(ValueError, match="."):
            load_strictly(broken)
        assert isinstance(refusal(broken).error, BadRequestError)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_float_where_a_seq_belongs_is_refused(value: float) -> None:
    body = json.dumps({"type": "read", "chat": "@bob", "id": 2, "seq": value})
    error = refusal(body.encode())
    assert isinstance(error.error, BadRequestError)
    assert error.re == (2 if math.isfinite(value) else None)
