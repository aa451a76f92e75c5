"""``python -m client`` is ``chat``."""

from client.cli import gc_tuning


def main() -> None:
    """Run the program; what it imports is not searched for garbage."""
    gc_tuning.put_off()
    from client.cli.main import main as chat

    chat()


if __name__ == "__main__":
    main()
