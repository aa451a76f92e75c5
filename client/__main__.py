"""``python -m client`` is ``chat``."""

from client import collector


def main() -> None:
    """Run the program; what it imports is not searched for garbage."""
    collector.put_off()
    from client.cli import main as chat

    chat()


if __name__ == "__main__":
    main()
