"""The command line (chatd.cli), without a daemon."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from chatd import __version__, cli, cli_text
from chatd.settings.config import Settings

PASSWORD = "correct horse\n"
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in a folder of its own, with a configuration for cheap hashing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text("[accounts]\niterations = 4096\n")

    def run(*arguments: str, stdin: str = "") -> Result:
        return CliRunner().invoke(cli.cli, arguments, input=stdin)

    return run


def main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["chatd", *arguments])
    monkeypatch.setattr("os.umask", lambda _: 0)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    status = ended.value.code
    assert isinstance(status, int)
    return status


def test_the_version_is_shown(run: Run) -> None:
    assert run("--version").output == f"chatd {__version__}\n"


def test_an_account_is_added_and_listed(run: Run) -> None:
    added = run("user", "add", "Alice", "--admin", "--password-stdin", stdin=PASSWORD)
    assert added.output == "user alice was added\n"
    head, alice = run("user", "list").output.splitlines()
    assert head.split() == ["NAME", "ROLE", "STATE", "CREATED"]
    assert alice.split()[:2] == ["alice", "admin"]


def test_a_password_is_asked_for_twice_without_being_shown(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda _: True)
    added = run("user", "add", "alice", stdin="correct horse\ncorrect horse\n")
    assert "user alice was added" in added.output
    assert "correct horse" not in added.output


def test_a_password_command_is_run_without_a_shell(run: Run) -> None:
    command = "printf '%s\\n' 'correct $HOME horse' second"
    assert run("user", "add", "alice", "--password-command", command).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "stdin", "reason"),
    [
        (["alice"], "", "there is no terminal"),
        (["alice", "--password-stdin"], "", "there is no line on standard input"),
        (["alice", "--password-stdin"], "short\n", "at least 8"),
        (["al ice", "--password-stdin"], PASSWORD, "a user name has letters"),
        (["alice", "--password-command", "false"], "", "the password command failed"),
        (["alice", "--password-command", "true"], "", "printed nothing"),
        (["alice", "--password-command", "'"], "", "the password command failed"),
        (["alice", "--password-stdin", "--password-command", "x"], "", "not both"),
    ],
)
def test_an_account_that_cannot_be_added_is_explained(
    run: Run, arguments: list[str], stdin: str, reason: str
) -> None:
    refused = run("user", "add", *arguments, stdin=stdin)
    assert isinstance(refused.exception, cli.EXPECTED_ERRORS)
    assert reason in str(refused.exception)


def test_deleting_asks_and_no_is_no(run: Run) -> None:
    run("user", "add", "alice", "--password-stdin", stdin=PASSWORD)
    assert run("user", "delete", "alice", stdin="n\n").exit_code == 1
    assert "alice" in run("user", "list").output
    assert run("user", "delete", "alice", stdin="y\n").exit_code == 0
    assert "alice" not in run("user", "list").output


def test_disabling_is_shown_until_enabling(run: Run) -> None:
    run("user", "add", "alice", "--password-stdin", stdin=PASSWORD)
    assert run("user", "disable", "alice").output == "user alice was disabled\n"
    assert "disabled" in run("user", "list").output
    assert run("user", "enable", "alice").output == "user alice was enabled\n"
    assert "disabled" not in run("user", "list").output


def test_a_password_is_changed(run: Run) -> None:
    run("user", "add", "alice", "--password-stdin", stdin=PASSWORD)
    changed = run("user", "passwd", "alice", "--password-stdin", stdin="another one\n")
    assert "user alice has the new password" in changed.output


def test_logins_are_listed_or_said_to_be_none(run: Run) -> None:
    run("user", "add", "alice", "--password-stdin", stdin=PASSWORD)
    assert "no device is logged in" in run("user", "logins", "alice").output
    refused = run("user", "logins", "alice", "--revoke", "x")
    assert "alice has no login 'x'" in str(refused.exception)


def test_an_invite_without_a_network_says_which_setting_opens_it(run: Run) -> None:
    made = run("invite", "--uses", "2", "--days", "0")
    assert re.match(
        r"invite code \w{20}, to be used 2 times, valid until for ever", made.output
    )
    assert "[server] listen" in made.output


def test_an_invite_prints_the_join_link(run: Run) -> None:
    text = '[server]\nlisten = ["tls://chat.lab"]\n[accounts]\nregistration = "closed"'
    Path("config.toml").write_text(text)
    made = run("invite")
    assert re.search(
        r"^chat://chat\.lab/\?pin=[\w-]{43}&invite=\w{20}$", made.output, re.M
    )
    assert "registration is closed" in made.output


def test_an_invite_is_listed_and_ended(run: Run) -> None:
    code = run("invite").output.split()[2].rstrip(",")
    assert code in run("invite", "list").output
    assert run("invite", "revoke", code).exit_code == 0
    assert run("invite", "list").output == "there are no invite codes\n"


def test_a_backup_is_written_checked_and_restored(run: Run) -> None:
    run("user", "add", "alice", "--password-stdin", stdin=PASSWORD)
    assert run("backup", "b.tar").output.endswith(" bytes, complete\n")
    restored = run("--data", "other", "restore", "b.tar")
    assert "is as it was at" in restored.output
    assert "alice" in run("--data", "other", "user", "list").output


def test_a_check_without_problems_has_status_0(run: Run) -> None:
    run("user", "add", "alice", "--password-stdin", stdin=PASSWORD)
    checked = run("check")
    assert checked.exit_code == 0
    assert all(line.endswith(": ok") for line in checked.output.splitlines())
    assert "user table: 1 user: ok" in checked.output


def test_a_check_with_a_problem_has_status_1(run: Run) -> None:
    run("user", "list")
    Path("data/users.json").write_text("damage")
    checked = run("check")
    assert checked.exit_code == 1
    assert "PROBLEM" in checked.output
    assert "1 problem found" in checked.output


def test_without_a_command_the_daemon_runs_with_the_settings(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[Settings] = []

    def serve(settings: Settings) -> int:
        seen.append(settings)
        return 5

    monkeypatch.setattr("chatd.server.run", serve)
    assert run("--data", "x").exit_code == 5
    assert (seen[0].data, seen[0].accounts.iterations) == (tmp_path / "x", 4096)


def test_without_a_configuration_file_the_defaults_count(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("config.toml").unlink()
    assert run("check").output.startswith("configuration: defaults, no file: ok")


def test_what_is_authenticated_to_go_wrong_is_one_sentence_with_status_2(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(monkeypatch, "--config", "nothing.toml") == 2
    said = capsys.readouterr()
    assert said.err == "chatd: there is no configuration file nothing.toml\n"
    assert said.out == ""


def test_a_damaged_user_table_is_refused_and_left_as_it_is(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("user", "list")
    Path("data/users.json").write_text("damage")
    assert main(monkeypatch, "user", "list") == 2
    assert "restore it from a backup" in capsys.readouterr().err
    assert Path("data/users.json").read_text() == "damage"


def test_a_table_cannot_be_broken_by_what_others_chose(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cli_text.show_table(("A", "B"), [("x\n\x1b[2J", "y")], "none")
    assert capsys.readouterr().out == "A       B\nx??[2J  y\n"
