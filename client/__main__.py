"""``python -m client`` is ``chat``."""

from client.cli import main

main()
