"""`lmkit man`: a page of the manual, also where `man` does not find it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from lmkit.commands.options.standard import Output, Run
from lmkit.errors import MissingError, UsageError
from lmkit.io import installation, manual_text, outputs, streams
from lmkit.io.terminal import is_terminal


def man(
    run: Run,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Command, such as `ngram fit`, or topic, such as `sampling`."),
    ] = None,
    output: Output = None,
) -> None:
    """Show a manual page, also where `man` does not find it.

    On a terminal the page is shown by `man`, where that program is installed; elsewhere it is printed as plain text.
    Without a NAME: the overview, lmkit(1), which lists all pages.

    Examples:
      lmkit man ngram fit
      lmkit man sampling
      lmkit man python -o python.txt
    """
    page = _page(names or [])
    if output is None and is_terminal(sys.stdout) and shutil.which("man"):
        subprocess.run(["man", str(page)], check=False)
        return
    source = bytes(streams.read_whole(str(page))).decode("utf-8")
    with outputs.open_output(output) as out:
        out.write(manual_text.plain_text(source).encode("utf-8"))


def _page(names: list[str]) -> Path:
    """The file of a page. Raises UsageError for one that is not there, MissingError where none is installed."""
    words = re.split(r"[\s-]+", " ".join(names).strip().lower())
    words = [word for word in words if word]
    if words[:1] == ["lmkit"]:
        del words[0]
    name = "-".join(["lmkit", *words])
    if re.fullmatch(r"[a-z0-9-]+", name):
        for section in (1, 7):
            page = installation.shared_file(f"man/man{section}/{name}.{section}")
            if page is not None:
                return page
    overview = installation.shared_file("man/man1/lmkit.1")
    if overview is None:
        raise MissingError("no manual pages are installed", hint="reinstall lmkit-cli from its wheel")
    topics = sorted(file.stem.removeprefix("lmkit-") for file in (overview.parent.parent / "man7").glob("lmkit-*.7"))
    shown = f"no manual page of {' '.join(names)!r}"
    raise UsageError(shown, hint=f"topics: {', '.join(topics)}; commands: lmkit --help" if topics else None)
