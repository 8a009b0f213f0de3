"""`python -m lmkit` is the same program as `lmkit`."""

from lmkit.cli import main

if __name__ == "__main__":
    main()
