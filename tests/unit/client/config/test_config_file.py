"""``client.toml``: what is accepted, refusals with the line, the default file."""

import os
import re
import stat
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from client.cli.main import main
from client.config.config_file import (
    SECTIONS,
    ClientConfig,
    ClientFileError,
    GeneralConfig,
    NotifyConfig,
    client_file,
    load_client_file,
    parse_client_file,
)
from client.config.default_file import default_text, write_default
from client.keys.actions import ACTIONS, keys_of
from client.storage.paths import Paths
from client.terminal.themes import STYLES


def parse(text: str) -> ClientConfig:
    return parse_client_file(text, "client.toml")


def uncommented() -> str:
    """Return the default file with every setting in force."""
    return re.sub(r"^#(?=[\w\"])", "", default_text(), flags=re.MULTILINE)


# Accepted -----------------------------------------------------------------------------


def test_without_a_file_there_are_the_defaults(tmp_path: Path) -> None:
    assert load_client_file(tmp_path / "client.toml") == ClientConfig()


def test_an_empty_file_changes_nothing() -> None:
    assert parse("") == parse("# nothing\n[keys]\n") == ClientConfig()


def test_everything_that_can_be_set_is_read() -> None:
    settings = parse(
        """
        [general]
        theme = "16"
        time_format = "%H:%M:%S"
        mouse = true
        notifications = "all"
        escape_ms = 200
        [notify]
        bell = false
        osc = "777"
        command = ["notify-send", "{title}"]
        title = false
        [chats]
        "#Ops" = "nothing"
        "@bob" = "all"
        [keys]
        search = "Ctrl+T"
        next-activity = ["Alt+A", "F6"]
        bare = []
        date = ""
        [colors]
        "sidebar.unread" = "bold #FF8700"
        status.offline = "reverse"
        """
    )
    assert settings.general == GeneralConfig("16", "%H:%M:%S", True, "all", 200)
    assert settings.notify == NotifyConfig(
        False, "777", ("notify-send", "{title}"), False
    )
    assert settings.chats == {"#ops": "nothing", "@bob": "all"}
    assert settings.keys == {
        "search": ("c-t",),
        "next-activity": ("escape a", "f6"),
        "bare": (),
        "date": (),
    }
    assert settings.colors == {
        "sidebar.unread": "bold #FF8700",
        "status.offline": "reverse",
    }


def test_a_chat_without_a_rule_of_its_own_follows_the_general_one() -> None:
    settings = parse('[general]\nnotifications = "nothing"\n[chats]\n"#ops" = "all"')
    assert settings.rule_of("#ops") == "all"
    assert settings.rule_of("#lab") == "nothing"


# Refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a =", "line 1: this is not valid TOML: a value is missing"),
        ("[general]\ntheme = dark", "line 2: .*a text stands without quotes"),
        ("[general]\ntheme = 'dark'\ntheme = 'dark'", "line 3: .*set a second time"),
        ("[keys]\n[general]\n[keys]", r"line 3: .*\[keys\] is there a second time"),
        ("[general]\n[[[\n[keys]", "line 2: this is not valid TOML"),
        ("\n[genral]", r"line 2: genral: .*did you mean \[general\]"),
        ("\ntheme = 'dark'", "line 2: theme: .*outside of a section"),
        ("keys = 3", r"line 1: keys: this is a section: write \[keys\]"),
        ("[general]\nthme = 'dark'", r"line 2: \[general\] thme: .*did you mean theme"),
        ("[general]\ntheme = 'drak'", r'line 2: \[general\] theme: write "auto", "'),
        ("[general]\nmouse = 1", r"line 2: \[general\] mouse: expected true or false"),
        ("[general]\nescape_ms = 5", r"line 2: .*escape_ms: expected a whole number"),
        ("[general]\ntime_format = 'x'", r"line 2: .*time_format: 'x' shows no time"),
        ("[general]\ntheme = 16", r'line 2: .* write "auto", "dark", "light", "16" or'),
        (
            "[notify]\n\ncommand = 'ls'",
            r"line 3: \[notify\] command: write the program",
        ),
        ("[notify]\ncommand = ['']", r"line 2: \[notify\] command: write the program"),
        ("[notify]\ncommand = ['x', 7]", r"line 2: \[notify\] command: write the prog"),
        (
            "[notify]\ncommand = ['x', '{titel}']",
            r"line 2: \[notify\] command: \{titel\} .* did you mean \{title\}",
        ),
        ("[notify]\nosc = '8'", r'line 2: \[notify\] osc: write "auto", "9", "777" or'),
        ("[notify]\nosc = 9", r'line 2: \[notify\] osc: write "auto", "9", "777" or'),
        ("[chats]\n\n#ops = 'all'", r'line 3: \[chats\] #ops: .* write "#ops" in'),
        ("[chats]\nops = 'all'", r'line 2: \[chats\] ops: .*"#room" or "@name"'),
        ("[chats]\n'#ops' = 'some'", r'line 2: \[chats\] #ops: write "all", "'),
        ("[keys]\nserach = 'F6'", r"line 2: \[keys\] serach: .*did you mean 'search'"),
        ("[keys]\nsearch = 6", r"line 2: \[keys\] search: write a key such as"),
        ("[keys]\nsearch = ['F6', 7]", r"line 2: \[keys\] search: write a key such as"),
        ("[keys]\n# F\nsearch = 'Hyp'", r"line 3: \[keys\] search: 'Hyp' is no key"),
        (
            "[keys]\nsearch = 'F2'",
            r"line 2: \[keys\] search: F2 is the key of 'chats-p",
        ),
        ("[colors]\ntimes = 'bold'", r"line 2: \[colors\] times: .*did you mean time"),
        ("[colors]\nfoo.bar = 'bold'", r"line 2: \[colors\] foo.bar: there is no"),
        ("[colors]\ntime = 'boldd'", r"line 2: \[colors\] time: 'boldd' is no style"),
        ("[colors]\ntime = 3", r"line 2: \[colors\] time: write a style"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_line(text: str, said: str) -> None:
    with pytest.raises(ClientFileError, match=said) as caught:
        parse(text)
    assert str(caught.value).startswith("client.toml")
    assert "\n" not in str(caught.value)


def test_what_is_no_rule_may_stand_in_comments() -> None:
    parse("[chats]\n# ops = all\n#'#ops' = 'all'\n[keys] # [x]\n#send = 'F6'\n")


def test_a_line_inside_of_a_longer_value_is_not_taken_for_the_mistake() -> None:
    text = '[notify]\ncommand = ["""\n[keys]\nsearch = 1\n"""]\n[keys]\nsearch = 1\n'
    with pytest.raises(ClientFileError, match="line 7:"):
        parse(text)


def test_a_key_that_is_written_in_another_way_is_named_without_a_line() -> None:
    with pytest.raises(ClientFileError, match=r"client.toml: \[general\] mouse:"):
        parse("general = {mouse = 3}")


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    path = tmp_path / "client.toml"
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ClientFileError, match="not text in UTF-8"):
        load_client_file(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ClientFileError, match="cannot be read"):
        load_client_file(path)


@given(st.text(max_size=60) | st.text("[]=\"'\n# abkeys.", max_size=60))
def test_whatever_stands_in_the_file_is_understood_or_refused_in_a_sentence(
    text: str,
) -> None:
    said = "client.toml"
    try:
        parse(text)
    except ClientFileError as error:
        said = str(error)
    assert said.startswith("client.toml")


# The default --------------------------------------------------------------------------


def test_the_default_file_changes_nothing() -> None:
    assert parse(default_text()) == ClientConfig()


def test_the_default_file_has_every_setting_with_its_default() -> None:
    settings = parse(uncommented())
    assert settings.general == GeneralConfig()
    assert settings.notify == NotifyConfig()
    assert settings.keys == {action.name: keys_of(action) for action in ACTIONS}
    assert settings.colors == {style.name: style.dark for style in STYLES.values()}
    assert list(tomllib.loads(uncommented())) == list(SECTIONS)


def test_each_line_of_the_default_file_can_be_used_alone() -> None:
    section = ""
    tried = 0
    for line in default_text().splitlines():
        if line.startswith("["):
            section = line
        elif re.match(r'#(   )?[\w"]', line):
            parse(f"{section}\n{line.lstrip('# ')}")
            tried += 1
    assert tried > len(ACTIONS) + len(STYLES)


def test_braces_that_stand_for_nothing_of_ours_are_left_as_they_are() -> None:
    settings = parse("[notify]\ncommand = ['awk', '{print}', '{text}{x}']")
    assert settings.notify.command == ("awk", "{print}", "{text}{x}")


def test_the_settings_of_the_default_file_are_in_the_order_of_the_code() -> None:
    document = tomllib.loads(uncommented())
    assert list(document["general"]) == list(GeneralConfig.__struct_fields__)
    assert list(document["notify"]) == list(NotifyConfig.__struct_fields__)


def test_every_setting_of_the_default_file_is_explained() -> None:
    before = ""
    for line in default_text().splitlines():
        if re.match(r"#[\w\"]", line):
            assert " # " in line or before.startswith("# "), line
        before = line


def test_the_default_file_is_written_privately_and_never_over_another(
    tmp_path: Path,
) -> None:
    path = tmp_path / "new" / "client.toml"
    assert write_default(path)
    assert path.read_text("utf-8") == default_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.write_text("mine")
    assert not write_default(path)
    assert path.read_text() == "mine"


def test_a_default_file_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ClientFileError, match="cannot be made"):
        write_default(tmp_path / "file" / "client.toml")


# chat config --------------------------------------------------------------------------


def test_chat_config_makes_the_file_once_and_prints_where_it_is(tmp_path: Path) -> None:
    path = client_file(Paths.under(tmp_path))
    for _ in range(2):
        result = CliRunner().invoke(main, ["config"], env={"CHAT_HOME": str(tmp_path)})
        assert (result.exit_code, result.output) == (0, f"{path}\n")
        assert path.exists()
        path.write_text("[general]\nmouse = true\n")
    assert path.read_text() == "[general]\nmouse = true\n"


def test_chat_config_says_what_is_wrong_with_the_file(tmp_path: Path) -> None:
    path = client_file(Paths.under(tmp_path))
    path.parent.mkdir()
    path.write_text("[general]\nmouse = 7\n")
    result = CliRunner().invoke(main, ["config"], env={"CHAT_HOME": str(tmp_path)})
    assert result.exit_code == 1
    assert result.stdout == f"{path}\n"
    assert "line 2: [general] mouse" in result.stderr


def test_chat_does_not_start_with_a_mistake_in_the_file(tmp_path: Path) -> None:
    path = client_file(Paths.under(tmp_path))
    path.parent.mkdir()
    path.write_text("[general]\nmouse = 7\n")
    environment = {**os.environ, "CHAT_HOME": str(tmp_path)}
    result = CliRunner().invoke(main, ["--plain", "localhost"], env=environment)
    assert result.exit_code == 1
    assert "line 2: [general] mouse" in result.stderr
