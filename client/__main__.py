"""Entry point of ``python -m client``, which is ``chat``."""

from client.cli import gc_tuning


def main() -> None:
    """Run the program, with garbage collection off while it starts."""
    gc_tuning.disable()
    from client.cli.main import main as chat

    chat()


if __name__ == "__main__":
    main()
