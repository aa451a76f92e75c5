"""Lets ``python -m chatd`` do what the command ``chatd`` does."""

from chatd.cli import main

if __name__ == "__main__":
    main()
