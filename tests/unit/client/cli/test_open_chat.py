"""Opening the chat (client.cli.open_chat): which frontend is chosen and loaded."""

import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
from click.testing import CliRunner

from client.cli.main import main
from client.cli.open_chat import (
    default_frontend,
    make_frontend,
    make_notified,
    make_preferences,
)
from client.config.config_file import ClientConfig, GeneralConfig
from client.frontend.runtime import Runtime
from client.link.link import Link, MakeLink
from client.plain.app import PlainMode
from client.storage.paths import Paths
from tests.fakes.link import FakeLink


def start(home: Path) -> Runtime:
    make_link = cast(MakeLink, lambda on_change, on_state: cast(Link, FakeLink()))
    return Runtime(
        make_link=make_link,
        server="tls://lab:4747",
        paths=Paths.under(home),
        preferences=make_preferences(Paths.under(home), ClientConfig()),
    )


def test_the_plain_face_is_made_where_it_is_asked_for(tmp_path: Path) -> None:
    assert isinstance(make_frontend("plain", start(tmp_path)), PlainMode)


def test_a_face_is_imported_only_where_it_is_asked_for() -> None:
    code = (
        "import sys\nimport client.cli.open_chat, client.plain.app\n"
        "assert not any(m.startswith('prompt_toolkit') for m in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == ""


def test_the_full_screen_starts_without_what_only_some_need() -> None:
    late = {
        "client.net.scram": "a password is proved",
        "scramp": "a password is proved",
        "cryptography": "a certificate is read",
        "importlib.metadata": "scramp is loaded",
        "pygments": "code is shown",
        "emoji": "a shortcode is seen",
        "client.plain.app": "the plain face is wanted",
    }
    code = (
        "import sys\nimport client.cli.main, client.cli.open_chat, client.ui.app\n"
        f"print(*sorted(sys.modules.keys() & set({sorted(late)!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == ""
    assert [f"{name} before {late[name]}" for name in done.stdout.split()] == []


def test_the_usual_face_takes_the_full_screen_where_there_is_one() -> None:
    assert default_frontend({"TERM": "xterm-256color"}) == "full"
    assert default_frontend({"TERM": "dumb"}) == "plain"
    assert default_frontend({}) == "plain"


@pytest.mark.parametrize("options", [[], ["--line"], ["--full"]])
def test_without_a_terminal_only_the_plain_face_starts(
    options: list[str], tmp_path: Path
) -> None:
    environment = {"CHAT_HOME": str(tmp_path)}
    refused = CliRunner().invoke(main, options, env=environment)
    assert refused.exit_code == 1
    assert "chatting needs a terminal" in refused.output
    asking = CliRunner().invoke(main, ["--plain"], env=environment)
    assert asking.exit_code == 1
    assert "there is no terminal to ask on" in asking.output


def test_the_file_says_how_times_look_at_the_start(tmp_path: Path) -> None:
    paths = Paths.under(tmp_path)
    config = ClientConfig(general=GeneralConfig(time_format="%H:%M:%S"))
    make_preferences(paths, ClientConfig()).time_format = "%I:%M"
    assert make_preferences(paths, ClientConfig()).time_format == "%I:%M"
    assert make_preferences(paths, config).time_format == "%H:%M:%S"


def test_what_rang_is_remembered_for_the_user_and_the_server(tmp_path: Path) -> None:
    notified = make_notified(Paths.under(tmp_path), "tls://lab:4747", "alice")
    assert notified.claim("L", {"#ops": [1]}, {"#ops": 0}) == {("#ops", 1)}
    assert "tls://lab:4747" in (tmp_path / "state" / "rung.json").read_text()
