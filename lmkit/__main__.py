"""`python -m lmkit` and the installed `lmkit`: the same program, quiet too where it is stopped while it is loading."""

import sys


def main() -> None:
    """Loads the outer edge and hands over to it."""
    try:
        from lmkit import cli
    except KeyboardInterrupt:  # the edge is not there yet to catch it
        sys.exit(130)
    cli.main()


if __name__ == "__main__":
    main()
