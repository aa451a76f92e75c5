"""The command line (client.cli.main): what is accepted, refused, and the errors."""

import re

import click
import pytest
from click.testing import CliRunner, Result

from client.cli.chat_commands import MAX_INPUT
from client.cli.main import main
from client.cli.options import key_trouble, password_source
from client.errors import ChangedKeyError, UnknownKeyError

JARGON = re.compile(
    r"\b(TLS|SCRAM|token|socket|regex|boolean|stdin|stdout|JSON-RPC|async|cursor)\b",
    re.I,
)


def chat(*arguments: str, given: bytes | str | None = None) -> Result:
    environment = {"CHAT_HOME": "/nonexistent"}
    return CliRunner().invoke(main, arguments, input=given, env=environment)


def test_help_shows_both_uses_and_every_command() -> None:
    shown = chat("--help").output
    assert "chat [ADDRESS | JOIN LINK]" in shown
    for name in main.commands:
        assert f"  {name} " in shown


@pytest.mark.parametrize("name", ["", *sorted(main.commands)])
def test_help_is_in_plain_words_and_fits(name: str) -> None:
    result = chat(*filter(None, [name]), "--help")
    assert result.exit_code == 0
    assert not JARGON.search(result.output)
    assert max(map(len, result.output.splitlines())) <= 80


def test_no_option_takes_a_password() -> None:
    for command in main.commands.values():
        assert "--password" not in [
            name for parameter in command.params for name in parameter.opts
        ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["send"], "Missing argument"),
        (["send", "#ops", "--lines", "text"], "not both"),
        (["send", "#ops", "  "], "nothing to send"),
        (["send", "ops", "text"], "quote a room's name"),
        (["history", "#ops", "-n", "0"], "-n"),
        (["tail", "#ops", "--since", "10 minutes"], "write 90s"),
        (["who", "@bob"], "a room's address begins with #"),
        (["trust", "localhost", "abc"], "fingerprint"),
        (["trust", "localhost", "-a"], "fingerprint"),
        (["send", "#ops", "--file", "a", "--lines"], "not both"),
        (["send", "#ops", "--name", "a"], "needs --file"),
        (["send", "#ops", "--file", "-"], "needs a name"),
        (["send", "#ops", "--file", "a", "--file", "b", "--name", "c"], "several"),
        (["get", "ops"], "quote a room's name"),
        (["files", "#ops", "-n", "0"], "-n"),
        (["histroy", "#ops"], "did you mean 'chat history'"),
        (["http://example.org"], "not known"),
        (["localhost:99999"], "port"),
        (["chat://localhost/?pin=abc"], "fingerprint"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_wrong_use_is_one_clear_sentence_with_status_two(
    arguments: list[str], said: str
) -> None:
    result = chat(*arguments)
    assert result.exit_code == 2
    assert said in result.output


def test_a_file_that_is_not_there_is_refused_before_anything_is_asked() -> None:
    result = chat("send", "#ops", "--file", "/no/such/file")
    assert (result.exit_code, result.output) == (
        1,
        "Error: there is no file /no/such/file\n",
    )


def test_without_a_terminal_the_chat_says_what_to_use_instead() -> None:
    result = chat("localhost")
    assert result.exit_code == 1
    assert "chat send" in result.output


def test_input_that_is_no_text_or_too_long_is_refused() -> None:
    assert "UTF-8" in chat("send", "#ops", given=b"\xff\xfe").output
    assert "too long" in chat("send", "#ops", given=b"x" * (MAX_INPUT + 1)).output


def test_the_password_comes_from_a_command_or_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert password_source(None) is None
    monkeypatch.setenv("CHAT_PASSWORD", "from the environment")
    source = password_source(None)
    assert source is not None
    assert source() == "from the environment"
    source = password_source("echo 'from $HOME; a command'")
    assert source is not None
    assert source() == "from $HOME; a command"


@pytest.mark.parametrize("command", ["false", "true", "/no/such/program", "", "'"])
def test_a_password_command_that_gives_none_is_an_error(command: str) -> None:
    source = password_source(command)
    assert source is not None
    with pytest.raises(click.ClickException):
        source()


def test_trouble_with_a_key_is_told_with_the_command_that_helps() -> None:
    changed = key_trouble(ChangedKeyError("tls://lab:4747", "old" * 14, "new" * 14))
    assert "old" * 14 in changed
    assert changed.endswith("chat trust tls://lab:4747 " + "new" * 14)
    unknown = key_trouble(UnknownKeyError("tls://lab:4747", "new" * 14))
    assert unknown.endswith("chat trust tls://lab:4747 " + "new" * 14)
