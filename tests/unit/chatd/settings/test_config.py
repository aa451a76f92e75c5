"""The configuration (chatd.settings.config, chatd.settings.endpoints, config.toml)."""

import os
import re
import tomllib
from pathlib import Path

import pytest

from chatd.protocol.links import fingerprint_of_key
from chatd.settings.config import (
    SECTIONS,
    ConfigError,
    FileSettings,
    Settings,
    load_config,
    reload_config,
    settings_needing_restart,
)
from chatd.settings.endpoints import Endpoint, join_links, parse_endpoint
from chatd.system.toml_file import keys_of
from tests import ROOT

SHIPPED = ROOT / "config.toml"
PIN = fingerprint_of_key(b"")


def load(folder: Path, text: str) -> Settings:
    path = folder / "config.toml"
    path.write_text(text, "utf-8")
    return load_config(path)


@pytest.mark.parametrize("section", SECTIONS)
def test_the_shipped_file_says_the_defaults_of_the_code(section: str) -> None:
    shipped, defaults = load_config(SHIPPED), load_config(None)
    assert getattr(shipped, section) == getattr(defaults, section) or section == "tls"
    assert shipped.tls.certificate == defaults.tls.certificate == ""


@pytest.mark.parametrize("section", SECTIONS)
def test_the_shipped_file_has_every_key_in_order(section: str) -> None:
    shipped = tomllib.loads(SHIPPED.read_text("utf-8"))
    assert list(shipped[section]) == keys_of(SECTIONS[section])


def test_every_key_of_the_shipped_file_is_explained() -> None:
    block = ""
    for line in SHIPPED.read_text("utf-8").splitlines():
        if re.match(r"\w+ = ", line):
            assert "#" in block, f"{line} has no comment"
        # A comment may stand above two keys that belong together.
        block = "" if not line else block + line


def test_without_a_file_the_data_folder_is_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_config(None).data == tmp_path / "data"


def test_the_data_folder_is_relative_to_the_file(tmp_path: Path) -> None:
    assert load(tmp_path, '[server]\ndata = "x"').data == tmp_path / "x"


def test_the_command_lines_data_folder_counts(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[server]\ndata = "x"')
    settings = load_config(tmp_path / "config.toml", tmp_path / "y")
    assert settings.data == tmp_path / "y"
    assert reload_config(settings).data == tmp_path / "y"


def test_paths_are_relative_to_the_data_folder(tmp_path: Path) -> None:
    text = '[server]\nlisten = ["unix:s"]\n[tls]\ncertificate = "c"\nkey = "/k"'
    settings = load(tmp_path, text)
    assert settings.endpoints == (Endpoint("unix", path=str(tmp_path / "data/s")),)
    assert settings.tls.certificate == str(tmp_path / "data/c")
    assert settings.tls.key == "/k"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "[server]\nlisen = 1",
            "[server] lisen: there is no such setting: did you mean l",
        ),
        (
            "[limits]\nxyzzy = 1",
            "[limits] xyzzy: there is no such setting: there are frame",
        ),
        ("[sever]", "line 1: sever: there is no such section: did you mean [server]?"),
        ("[[server]]", "server: this is a section: write [server]"),
        ("text = 1", "text: this stands outside of a section: put it below [limits]"),
        ("xyzzy = 1", "put it below [server] or another heading"),
        ('[limits]\ntext = "1"', "[limits] text: expected a whole number, got text"),
        ("[limits]\ntext = 1.5", "[limits] text: expected a whole number"),
        ("[limits]\ntext = true", "[limits] text: expected a whole number"),
        ("[limits]\ntext = 0", "[limits] text: expected a whole number >= 1"),
        ("[limits]\nmessages_per_second = nan", "[limits] messages_per_second: "),
        ("[limits]\nmessages_per_second = -1", "[limits] messages_per_second: "),
        ("[limits]\nidle_seconds = 0", "[limits] idle_seconds: expected a number >= "),
        ("[limits]\nframe = 5000", "[limits] frame: a text of limits.text = 16384 "),
        ("[limits]\nframe = 8000000\ntext = 163841", "[limits] text: clients take no"),
        ("[server]\nlisten = []", "[server] listen: expected a list that is not empty"),
        ("[server]\nlisten = 5", "[server] listen: expected a list"),
        ("[server]\nlisten = [5]", "[server] listen: expected text"),
        ('[server]\nlisten = ["h:1"]', "[server] listen: 'h:1' is not an address"),
        ('[server]\nlisten = ["tls://h:x"]', "[server] listen: 'tls://h:x' is not an"),
        ('[server]\nlisten = ["tls://::1:5"]', "in brackets"),
        ('[server]\nlisten = ["unix:"]', "[server] listen: the path of a Unix socket"),
        ('[server]\nlisten = ["tcp://h:1", "tcp://h:1"]', "listed twice"),
        ('[server]\npublic_address = "a b"', "[server] public_address: "),
        ('[server]\nname = ""', "[server] name: expected text of length >= 1"),
        ('[server]\nname = "\\u001b"', "[server] name: only visible"),
        ('[server]\nmotd = "\\u001b"', "[server] motd: control characters"),
        (
            '[accounts]\nregistration = "x"',
            'line 2: [accounts] registration: write "open", "invite" or "closed"',
        ),
        ("[accounts]\niterations = 4095", "[accounts] iterations must be 4096 to"),
        ("[files]\nsize = -1", "[files] size: expected a whole number >= 0"),
        ('[files]\nsize = "1 GB"', "[files] size: expected a whole number, got text"),
        ("[files]\ntransfers = 0", "[files] transfers: expected a whole number >= 1"),
        ("[files]\nexpire_days = 36501", "[files] expire_days: expected a number <="),
        ("[files]\nexpire = 1", "there is no such setting: did you mean expire_days?"),
        ("expire_days = 1", "outside of a section: put it below [files]"),
        ('[log]\nlevel = "loud"', 'line 2: [log] level: write "debug", "info"'),
        ('[tls]\nkey = "k"', "[tls] certificate: certificate and key go together"),
        ("[server]\na b", "line 2: this is not valid TOML"),
    ],
)
def test_a_wrong_configuration_is_refused_in_one_sentence_that_names_it(
    tmp_path: Path, text: str, reason: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, text)
    sentence = str(refused.value)
    assert sentence.startswith(str(tmp_path / "config.toml"))
    assert reason in sentence
    assert "\n" not in sentence


def test_without_a_section_files_have_their_defaults(tmp_path: Path) -> None:
    files = load(tmp_path, "[files]\nexpire_days = 30").files
    assert files == FileSettings(expire_days=30.0)
    assert (files.size, files.free_bytes) == (10 << 30, 1 << 30)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c"
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_config(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no configuration file .*nothing"):
        load_config(tmp_path / "nothing")


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)


def test_a_data_folder_whose_socket_path_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[server\] data: .*107"):
        load(tmp_path, f'[server]\ndata = "{"x" * 100}"')


def test_a_socket_path_of_107_bytes_is_the_longest(tmp_path: Path) -> None:
    room = 107 - len(os.fsencode(tmp_path)) - 1
    assert parse_endpoint("unix:" + "x" * room, tmp_path).path.endswith("x" * room)
    with pytest.raises(ValueError, match="107"):
        parse_endpoint("unix:" + "x" * (room + 1), tmp_path)


def test_only_data_and_listen_need_a_restart(tmp_path: Path) -> None:
    old = load(tmp_path, "")
    text = (
        '[server]\nname = "x"\n[limits]\ntext = 5\n[files]\nsize = 5\n'
        '[log]\nlevel = "debug"'
    )
    assert settings_needing_restart(old, load(tmp_path, text)) == []
    new = load(tmp_path, '[server]\ndata = "x"\nlisten = ["tcp://h"]')
    assert settings_needing_restart(old, new) == ["[server] data", "[server] listen"]


@pytest.mark.parametrize(
    ("text", "is_loopback", "is_wildcard"),
    [
        ("tls://127.0.0.1:4747", True, False),
        ("tls://[::1]:0", True, False),
        ("tcp://localhost:80", True, False),
        ("unix:/run/x", True, False),
        ("tls://0.0.0.0:4747", False, True),
        ("tls://[::]:4747", False, True),
        ("tls://chat.lab:4747", False, False),
    ],
)
def test_an_endpoint_says_who_can_reach_it(
    text: str, is_loopback: bool, is_wildcard: bool
) -> None:
    endpoint = parse_endpoint(text, Path("/"))
    assert str(endpoint) == text
    assert (endpoint.is_loopback, endpoint.is_wildcard) == (is_loopback, is_wildcard)


def links_of(*listen: str, public: str = "") -> list[str]:
    endpoints = tuple(parse_endpoint(text, Path("/")) for text in listen)
    return join_links(endpoints, public, PIN, "code")


def test_there_is_a_join_link_for_each_address_that_others_can_reach() -> None:
    links = links_of("tls://127.0.0.1", "tls://h", "tls://h:80", "tcp://x", "unix:/y")
    query = f"?pin={PIN}&invite=code"
    assert links == [f"chat://h/{query}", f"chat://h:80/{query}"]


def test_a_public_address_takes_the_place_of_all_others() -> None:
    links = links_of("tls://h", "tls://g", public="lab.example:5000")
    assert links == [f"chat://lab.example:5000/?pin={PIN}&invite=code"]


def test_there_is_no_join_link_while_only_this_machine_can_connect() -> None:
    assert links_of("tls://127.0.0.1", public="lab.example") == []


def test_a_wildcard_is_not_what_a_join_link_says() -> None:
    links = links_of("tls://0.0.0.0:4747", "tls://[::]:4747")
    assert links
    assert all("0.0.0.0" not in link and "[::]" not in link for link in links)
