"""The command ``chat config``: prints the path of ``client.toml``, and creates it."""

import click

from client.cli.options import with_plain_errors
from client.storage.paths import Paths


@click.command(short_help="Print where your settings are, and make the file.")
@with_plain_errors
def config() -> None:
    """Print the path of the file of your settings; if there is none, make one.

    It holds keys, colours, notifications and more, each with an explanation; a file
    that is there already is never changed, only looked at for mistakes.
    """
    # Imported here, as the commands for scripts need no keys, colours and the rest.
    from client.config.config_file import client_file, load_client_file
    from client.config.default_file import write_default

    path = client_file(Paths.from_environment())
    write_default(path)
    click.echo(path)
    load_client_file(path)
