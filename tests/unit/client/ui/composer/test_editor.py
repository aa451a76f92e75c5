"""Editing the draft in an external editor."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from client.ui.composer.editor import EditorError, edit, editor_words
from tests.helpers import eventually
from tests.unit.client.ui.composer.composing import ComposerStage, stage

PROGRAM = """
import os, sys
path = sys.argv[-1]
assert os.stat(path).st_mode & 0o777 == 0o600
assert os.stat(os.path.dirname(path)).st_mode & 0o777 == 0o700
with open(path, encoding="utf-8") as file:
    text = file.read()
with open(path, "w", encoding="utf-8") as file:
    file.write(f"{text} and {sys.argv[1:-1]}\\n")
"""


def editor(folder: Path, program: str = PROGRAM) -> str:
    path = folder / "my editor.py"
    path.write_text(program)
    return f"{sys.executable} '{path}' --wait '$(touch x)' ;"


# Choice of the editor -----------------------------------------------------------------


def test_visual_goes_before_editor_and_both_may_have_options() -> None:
    environment = {"VISUAL": "code --wait 'a b'", "EDITOR": "vi"}
    assert editor_words(environment) == ["code", "--wait", "a b"]
    assert editor_words({"VISUAL": " ", "EDITOR": "vi"}) == ["vi"]


def test_without_a_variable_a_usual_editor_is_taken(tmp_path: Path) -> None:
    program = tmp_path / "nano"
    program.touch(0o755)
    assert editor_words({"PATH": str(tmp_path)}) == [str(program)]
    program.unlink()
    with pytest.raises(EditorError, match=r"set \$EDITOR"):
        editor_words({"PATH": str(tmp_path)})


def test_a_variable_that_cannot_be_understood_is_told() -> None:
    with pytest.raises(EditorError, match=r"\$EDITOR cannot be understood"):
        editor_words({"EDITOR": "vi 'x"})


# The edited text ----------------------------------------------------------------------


def test_the_text_is_in_a_private_file_and_no_shell_sees_the_options(
    tmp_path: Path,
) -> None:
    words = editor_words({"EDITOR": editor(tmp_path)})
    assert edit("héllo", words) == "héllo and ['--wait', '$(touch x)', ';']"
    assert not (tmp_path / "x").exists()


def test_nothing_is_left_behind() -> None:
    seen: list[Path] = []

    def call(words: Sequence[str]) -> int:
        seen.append(Path(words[-1]))
        seen[0].with_suffix(".md~").touch()
        return 0

    assert edit("text\n", ["vi"], call) == "text"
    assert not seen[0].parent.exists()


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import sys; sys.exit(3)", r"ended with an error \(3\)"),
        ("import os; os.kill(os.getpid(), 15)", "was ended by SIGTERM"),
        ("import os, sys; os.unlink(sys.argv[-1])", "cannot be read"),
        ("import sys; open(sys.argv[-1], 'wb').write(b'\\xff')", "cannot be read"),
    ],
)
def test_an_editor_that_fails_is_told(program: str, said: str, tmp_path: Path) -> None:
    words = editor_words({"EDITOR": editor(tmp_path, program)})
    with pytest.raises(EditorError, match=said):
        edit("text", words)


def test_an_editor_that_is_not_there_is_told() -> None:
    with pytest.raises(EditorError, match="no-such-editor cannot be started"):
        edit("text", ["no-such-editor"])


# From the composer --------------------------------------------------------------------


async def edited(at: ComposerStage, keys: str) -> None:
    before = at.text
    await at.type(keys)
    await eventually(lambda: at.text != before or bool(at.frontend.lines), "the editor")


@pytest.mark.parametrize("keys", ["\x18\x05", "\x1be"])
async def test_what_the_editor_leaves_is_in_the_composer_and_not_sent(
    keys: str, tmp_path: Path
) -> None:
    async with stage() as at:
        at.environment["EDITOR"] = editor(tmp_path)
        await at.type("one\ntwo")
        await edited(at, keys)
        assert at.text == "one\ntwo and ['--wait', '$(touch x)', ';']"
        assert at.submitted == []
        await at.type("\x1f")
        assert at.text == "one\ntwo"


async def test_an_editor_that_fails_leaves_the_text_as_it_was() -> None:
    async with stage() as at:
        at.environment["EDITOR"] = "no-such-editor"
        await at.type("half")
        await edited(at, "\x1be")
        assert at.text == "half"
        assert "no-such-editor cannot be started" in at.frontend.text


async def test_what_comes_back_after_another_chat_was_opened_is_its_draft(
    tmp_path: Path,
) -> None:
    async with stage() as at:
        at.environment["EDITOR"] = editor(tmp_path)
        await at.type("half")
        at.composer.open_editor()
        at.composer.open("@bob")
        tasks = at.composer._tasks
        await eventually(lambda: not tasks, "the editor")
        assert at.text == ""
        at.composer.open("#ops")
        assert at.text.startswith("half and")
