"""A TOML file whose sections become structs; every mistake is one sentence.

Nothing is silently accepted: an unknown or mistyped section or key, or a value of the
wrong type or out of range, is an error that names the file, the line, section and key.
"""

import dataclasses
import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec

T = TypeVar("T")

# Longer lists help nobody in a sentence.
_MAX_LISTED = 30


class TomlFile:
    """The content of a file.

    Args:
        text: What is in the file.
        source: The file's name, for errors.
        sections: The sections that there may be, each with its type; None for one
            whose keys are not fixed.
        error: The class of the errors; their text is for the user.
        overview: Where all keys are listed, for errors.

    Raises:
        Exception: ``error``: it is no TOML, or something stands in no known section.
    """

    def __init__(
        self,
        text: str,
        source: str,
        sections: Mapping[str, type | None],
        error: type[Exception],
        overview: str = "",
    ) -> None:
        self.text = text
        self.source = source
        self._sections = sections
        self._error = error
        self._overview = overview
        try:
            self._document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as cause:
            line, reason = _explain_syntax(str(cause), text)
            reason = f"this is not valid TOML: {reason}"
            raise error(f"{source}, line {line}: {reason}") from cause
        self._check_sections()

    @classmethod
    def read(
        cls,
        path: Path,
        sections: Mapping[str, type | None],
        error: type[Exception],
        overview: str = "",
    ) -> "TomlFile":
        """Read a file; see the class for the arguments.

        Raises:
            FileNotFoundError: There is none.
            Exception: ``error``: it cannot be read, or see the class.
        """
        try:
            text = path.read_text("utf-8-sig")
        except FileNotFoundError:
            raise
        except OSError as cause:
            raise error(f"{path} cannot be read: {cause.strerror}") from cause
        except UnicodeDecodeError as cause:
            raise error(f"{path} is not text in UTF-8") from cause
        return cls(text, str(path), sections, error, overview)

    def members(self, section: str) -> dict[str, Any]:
        """Return the members of a section; of one that is missing, none."""
        found: dict[str, Any] = self._document.get(section, {})
        return found

    def section(self, name: str, type_: type[T]) -> T:
        """Return a section as a struct or dataclass.

        Raises:
            Exception: The class of errors: it does not fit.
        """
        members, known = self.members(name), keys_of(type_)
        for key in members:
            if key not in known:
                raise self.unknown(name, key, "setting", known)
        try:
            return msgspec.convert(members, type_)
        except msgspec.ValidationError as cause:
            key, reason = _explain(str(cause), type_)
            raise self.error(name, key, reason) from cause

    def error(self, section: str, key: str, reason: str) -> Exception:
        """Return an error about a key.

        Args:
            section: Its section; "" for a section itself, or a key outside of all.
            key: Its name; "" if the reason names it.
            reason: What is wrong, and what to do.
        """
        line = find_line(self.text, section, key)
        where = f"{self.source}, line {line}" if line else self.source
        place = " ".join([f"[{section}]"] * bool(section) + [key] * bool(key))
        return self._error(f"{where}: {place}{': ' if key else ' '}{reason}")

    def unknown(
        self, section: str, key: str, what: str, known: list[str], form: str = "%s"
    ) -> Exception:
        """Return an error about a name that means nothing; it suggests another."""
        hint = f": there are {', '.join(form % each for each in known)}"
        if close := get_close_matches(key.lower(), known, n=1, cutoff=0.5):
            hint = f": did you mean {form % close[0]}?"
        elif len(known) > _MAX_LISTED:
            hint = f": {self._overview}" if self._overview else ""
        return self.error(section, key, f"there is no such {what}{hint}")

    def _check_sections(self) -> None:
        names = list(self._sections)
        for name, value in self._document.items():
            if isinstance(value, dict) and name in names:
                continue
            if name in names:
                raise self.error("", name, f"this is a section: write [{name}]")
            if isinstance(value, dict):
                raise self.unknown("", name, "section", names, "[%s]")
            homes = [f"[{each}]" for each in names if name in self._keys_in(each)]
            home = homes[0] if homes else f"[{names[0]}] or another heading"
            reason = f"this stands outside of a section: put it below {home}"
            raise self.error("", name, reason)

    def _keys_in(self, section: str) -> list[str]:
        type_ = self._sections[section]
        return [] if type_ is None else keys_of(type_)


def keys_of(section: type) -> list[str]:
    """Return the keys of a section's struct or dataclass."""
    if dataclasses.is_dataclass(section):
        return [field.name for field in dataclasses.fields(section)]
    return [field.name for field in msgspec.structs.fields(section)]


def choices(type_: Any) -> str:
    """Return the choices of a ``Literal`` of texts in words; "" for another type."""
    quoted = [f'"{each}"' for each in get_args(type_) if isinstance(each, str)]
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]]) if quoted else ""


section_header = re.compile(r"\s*\[\s*([\w-]+)\s*\]\s*(?:#.*)?$").match
_setting = re.compile(r"""\s*(["']?)([^"'=]+?)\1\s*=""").match


def find_line(text: str, section: str, key: str) -> int | None:
    """Return the number of the line where a key is set, counted from 1.

    Args:
        text: Valid TOML.
        section: The key's section; "" for a section itself, or a key outside of all.
        key: The name of the key or section.
    """
    lines = text.split("\n")
    here = ""
    for number, line in enumerate(lines, 1):
        header = section_header(line)
        setting = _setting(line)
        if header is None and setting is None:
            continue
        is_wanted = setting is not None and (here, setting[2]) == (section, key)
        if header is not None and not section:
            is_wanted = header[1] == key
        if (header is not None or is_wanted) and _begins_statement(lines, number):
            if is_wanted:
                return number
            here = header[1] if header is not None else here
    return None


def _begins_statement(lines: list[str], number: int) -> bool:
    """Whether a line begins a statement, not inside a value of several lines."""
    try:
        tomllib.loads("\n".join(lines[: number - 1]))
    except tomllib.TOMLDecodeError:
        return False
    return True


_position = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$").search


def _explain_syntax(message: str, text: str) -> tuple[int, str]:
    """Return the line of an error of tomllib, and what is wrong."""
    found = _position(message)
    last = text.rstrip().count("\n") + 1
    line = int(found[1]) if found is not None and found[1] else last
    reason = message[: found.start()] if found is not None else message
    for technical, plain in _PLAIN_SYNTAX:
        reason = re.sub(technical, plain, reason)
    return line, reason[:1].lower() + reason[1:]


_PLAIN_SYNTAX = (
    (r"Invalid value", "a value is missing, or a text stands without quotes"),
    (r"Cannot declare \('(.*)',\) twice", r"[\1] is there a second time"),
    (r"Cannot overwrite a value", "this is set a second time"),
)


def _explain(text: str, type_: type) -> tuple[str, str]:
    """Return the key of an error of msgspec, and what is wrong in plain words."""
    reason, _, place = text.partition(" - at `$.")
    found = re.match(r"\w+", place)
    key = found.group() if found else ""
    if possible := choices(get_type_hints(type_).get(key)):
        return key, f"write {possible}"
    for technical, plain in _PLAIN_WORDS:
        reason = re.sub(technical, plain, reason)
    return key, reason[:1].lower() + reason[1:]


_PLAIN_WORDS = (
    (r"Expected `str` of length", "Expected text of length"),
    (r"`str`", "text"),
    (r"`int`", "a whole number"),
    (r"`float`", "a number"),
    (r"`bool`", "true or false"),
    (r"`array` of length >= 1", "a list that is not empty"),
    (r"`array`", "a list"),
    (r"`object`", "a table"),
)
