"""Markdown-lite: what counts as markup, and that no other text is lost."""

import sys
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.ui.messages.markup import (
    MAX_MARKS,
    Block,
    CodeBlock,
    Paragraph,
    Quote,
    Span,
    links,
    parse,
    parse_line,
)

TEXTS = st.text(
    st.sampled_from("ab 1 漢é\u0301*_`~:@.>#/()\n") | st.characters(), max_size=150
) | st.lists(
    st.sampled_from(
        ["**", "*", "_", "`", "``", "```\n", "> ", "\n", " ", "a", "b c", "@bob", ":x:"]
        + ["https://a.b/c", "(", ")", "漢字", "e\u0301", "~~~\n", "```py\n"]
    ),
    max_size=40,
).map("".join)


def texts(blocks: list[Block]) -> list[str]:
    """Return the lines of blocks, without their marks."""
    lines: list[str] = []
    for block in blocks:
        if isinstance(block, CodeBlock):
            lines += block.lines
        else:
            lines += ["".join(span.text for span in line) for line in block.lines]
    return lines


@given(TEXTS)
def test_only_marks_are_left_out_and_all_else_is_in_order(text: str) -> None:
    rest = iter("\n".join(texts(parse(text))))
    char = next(rest, None)
    left_out = []
    fences = False
    for line in text.split("\n"):
        fences = fences or line.lstrip(" ").startswith(("```", "~~~"))
        for original in line + "\n":
            if original == char:
                char = next(rest, None)
            else:
                left_out.append(original)
    assert char is None
    if not fences:
        assert set(left_out) <= set("*_`> \n")


@given(st.text(st.characters(exclude_characters="*_`>~")))
def test_a_text_without_marks_comes_out_as_it_is(text: str) -> None:
    assert texts(parse(text)) == text.split("\n")


@given(
    st.text(st.characters(exclude_characters="`~>\n"), max_size=40), st.integers(1, 3)
)
def test_what_is_in_a_code_span_is_left_alone(code: str, count: int) -> None:
    marks = "`" * count
    if not code.strip():
        return
    assert parse_line(f"x {marks}{code}{marks} y")[1] == Span(code, "code")


@given(st.lists(st.text(st.characters(exclude_characters="`~\n")), max_size=9))
def test_what_is_in_a_block_of_code_is_left_alone(lines: list[str]) -> None:
    text = "\n".join(["```rust", *lines, "```"])
    assert parse(text) == [CodeBlock("rust", tuple(lines))]


@pytest.mark.parametrize(
    ("line", "spans"),
    [
        ("plain", [Span("plain")]),
        ("a **b** c", [Span("a "), Span("b", is_bold=True), Span(" c")]),
        ("*b*", [Span("b", is_italic=True)]),
        ("_b_!", [Span("b", is_italic=True), Span("!")]),
        ("***b***", [Span("b", is_bold=True, is_italic=True)]),
        (
            "**a *b* c**",
            [
                Span("a ", is_bold=True),
                Span("b", is_bold=True, is_italic=True),
                Span(" c", is_bold=True),
            ],
        ),
        ("**a `b`**", [Span("a ", is_bold=True), Span("b", "code", is_bold=True)]),
        ("*a *b*", [Span("*a "), Span("b", is_italic=True)]),
        ("**漢字**です", [Span("漢字", is_bold=True), Span("です")]),
        ("**की** कल", [Span("की", is_bold=True), Span(" कल")]),
        ("นี่*สวัสดี*ค่ะ", [Span("นี่"), Span("สวัสดี", is_italic=True), Span("ค่ะ")]),
        ("`` a`b ``", [Span(" a`b ", "code")]),
        ("`` `b` ``", [Span("`b`", "code")]),
        ("hi @bob.", [Span("hi "), Span("@bob", "mention"), Span(".")]),
        ("@अनीता, हाँ", [Span("@अनीता", "mention"), Span(", हाँ")]),
        (
            "@佐藤、@שָׂרָה!",
            [Span("@佐藤", "mention"), Span("、"), Span("@שָׂרָה", "mention"), Span("!")],
        ),
        ("nice :tada:!", [Span("nice "), Span(":tada:", "emoji"), Span("!")]),
    ],
)
def test_marks_mean_what_people_mean(line: str, spans: list[Span]) -> None:
    assert list(parse_line(line)) == spans


@pytest.mark.parametrize(
    "line",
    [
        "2 * 3 * 4",
        "2*3*4",
        "snake_case_name",
        "__init__",
        "**",
        "** a **",
        "*a",
        "a `b",
        "``a`",
        "*\u0301a*",
        "****a****",
        "me@example.org",
        "12:30",
        "std::string::npos",
        "https://",
    ],
)
def test_what_only_looks_like_a_mark_is_text(line: str) -> None:
    assert parse_line(line) == (Span(line),)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see https://a.b/c.", ["https://a.b/c"]),
        ("(https://a.b/c_(d))", ["https://a.b/c_(d)"]),
        ("<https://a.b/?x=1&y=2>,", ["https://a.b/?x=1&y=2"]),
        ("**https://a.b/**", ["https://a.b/"]),
        ("http://a http://b", ["http://a", "http://b"]),
        ("请看https://例.cn/路。谢谢", ["https://例.cn/路"]),
        ("chat://host:4747/?pin=abc", ["chat://host:4747/?pin=abc"]),
        ("https://... and xhttps://a", []),
        ("`https://a.b`", []),
        ("```\nhttps://a.b\n```", []),
        ("> https://a.b", ["https://a.b"]),
    ],
)
def test_links_end_where_people_mean(text: str, found: list[str]) -> None:
    assert links(text) == found


def test_blocks_begin_at_the_beginning_of_a_line() -> None:
    text = "a\n> b\n>\n> c\nd\n```py\nx\n```\ne"
    assert parse(text) == [
        Paragraph(((Span("a"),),)),
        Quote(((Span("b"),), (), (Span("c"),))),
        Paragraph(((Span("d"),),)),
        CodeBlock("py", ("x",)),
        Paragraph(((Span("e"),),)),
    ]


def test_a_fence_is_closed_by_one_as_long_of_its_kind() -> None:
    assert parse("````\n```\n~~~~\n````\nx")[0] == CodeBlock("", ("```", "~~~~"))
    assert parse("```\nnever closed") == [CodeBlock("", ("never closed",))]


@pytest.mark.parametrize("text", ["```", "``` no language\nx", ">:(", "a ```\nb"])
def test_what_only_looks_like_a_block_is_text(text: str) -> None:
    assert texts(parse(text)) == text.split("\n")


def test_a_line_of_very_many_marks_is_shown_as_it_is() -> None:
    line = "_*" * MAX_MARKS
    assert parse_line(line) == (Span(line),)


HOSTILE = ["*a ", "**a_", "_*", "`", "``` ", "@a", ":a", "https://)", "https://", "*_`"]


@pytest.mark.parametrize("part", HOSTILE)
def test_the_work_grows_with_the_length_alone(part: str) -> None:
    def work(count: int) -> int:
        """Return how many lines of Python ran."""
        ran = 0

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal ran
            ran += event == "line"
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            parse(part * count)
        finally:
            sys.settrace(before)
        return ran

    assert work(800) < 12 * work(100) + 1_000
