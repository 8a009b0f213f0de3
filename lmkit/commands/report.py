"""`lmkit report`: one page of what commands wrote as JSON."""

import hashlib
import shlex
from typing import Annotated

import typer

from lmkit.commands.options.standard import Files, Output, Run
from lmkit.commands.reports.collected_runs import Collection
from lmkit.commands.reports.run_page import run_page
from lmkit.errors import DataError
from lmkit.io import outputs, streams


def report(
    run: Run,
    files: Files = None,
    title: Annotated[str, typer.Option("--title", metavar="TEXT", help="Title of the page.")] = "Report",
    output: Output = None,
) -> None:
    """Gather results of commands into one page.

    Reads what commands write with `--json`, and the files of `train --log`, and writes one page of HTML that opens
    without a network: training curves, bars of the main measures with their intervals, confusion matrices and
    calibration, tables that a click sorts, signatures, and the commands that repeat it all.

    Records of unknown commands or of earlier versions become tables. Lines that are no JSON objects are skipped.

    Examples:
      lmkit ppl -m a.lm -m b.lm test.txt --json > ppl.jsonl
      lmkit report run.jsonl ppl.jsonl eval.jsonl -o report.html
    """
    names = files or [streams.STDIN]
    outputs.expect_output(output)
    found, inputs = Collection(), []
    for name in names:
        data = bytes(streams.read_whole(name))
        shown = streams.display(name)
        inputs.append((shown, hashlib.sha256(data).hexdigest()))
        found.read(shown, data.removeprefix(b"\xef\xbb\xbf").split(b"\n"))
    for name, line in found.skipped.items():
        run.terminal.notice(f"{name}:{line}: not a JSON object; such lines are skipped")
    if found.empty:
        raise DataError(f"{streams.display(names[0])}: no JSON records", hint="give files of commands with --json")
    page = run_page(title, found, inputs, shlex.join(["lmkit", *run.words]))
    with outputs.open_output(output) as out:
        out.write(page)
