"""The exception tree in ``client.errors``, and the files that belong to one login."""

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import client
from client import errors
from client.storage.paths import Paths


def subclasses(of: type[Exception]) -> Iterator[type[Exception]]:
    for each in of.__subclasses__():
        yield each
        yield from subclasses(each)


def test_the_tree_names_every_error_and_where_it_is() -> None:
    for module in pkgutil.walk_packages(client.__path__, "client."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    tree = errors.__doc__ or ""
    for each in subclasses(errors.LinkError):
        if not each.__module__.startswith("client."):
            continue
        home = each.__module__.removeprefix("client.")
        [line] = [row for row in tree.split("\n") if f" {each.__name__} " in row]
        assert home == "errors" or f"({home})" in line


def test_what_is_kept_of_one_login_is_apart_from_that_of_others(tmp_path: Path) -> None:
    paths = Paths.under(tmp_path)
    for of in (paths.drafts, paths.typed, paths.outbox, paths.transfers):
        found = {
            of(server, user)
            for server in ("tls://lab:4747", "tls://lab:4748")
            for user in ("alice", "bob")
        }
        assert len(found) == 4
        assert all(path.is_relative_to(paths.state) for path in found)
    assert paths.drafts("s", "u").name == paths.typed("s", "u").name
