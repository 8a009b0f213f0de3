"""`--check`: a file of the user's own graded on an exercise, a line for each case."""

from collections.abc import Sequence
from json import dumps
from typing import Annotated, Any

import typer

from lmkit.commands.options.standard import Run
from lmkit.errors import Status, UsageError
from lmkit.io import exercise_runner, outputs, streams
from lmkit.io.records import Table, to_json

SECONDS = 5.0
Check = Annotated[
    str | None,
    typer.Option(
        "--check",
        metavar="FILE",
        show_default=False,
        help="Grade a Python file that defines this function. The file runs with all your permissions.",
    ),
]


def check(
    run: Run, function: str, name: str, values: Sequence[str] | None, *, as_json: bool, output: str | None
) -> None:
    """Runs every case of an exercise. Exits with status 1 where one of them is not right."""
    from lmkit.evaluation.exercises import EXERCISES, fault

    if values:
        raise UsageError("--check has its own cases: JSON values cannot be given")
    if name == streams.STDIN:
        raise UsageError("--check takes a file, not stdin")
    with streams.open_input(name, as_is=True):
        pass  # says what is wrong with its name
    right = 0
    cases = EXERCISES[function]
    with outputs.open_output(output) as out:
        table = Table(out, ("case", "expected", "got", "ok", "fault"), as_json=as_json)
        for case in cases:
            answer = exercise_runner.call(name, function, case.arguments, SECONDS)
            wrong = answer.fault or fault(case.expected, answer.got)
            ok = wrong is None
            right += ok
            row = {"case": case.name, "expected": case.expected, "got": answer.got, "ok": ok, "fault": wrong}
            table.row({**row, "got": _plain(answer.got)} if as_json else {**row, **_as_text(row)})
    run.terminal.notice(f"{right} of {len(cases)} right")
    if right < len(cases):
        raise typer.Exit(Status.NO)


def _as_text(row: dict[str, Any]) -> dict[str, str]:
    """The fields that a table shows otherwise than JSON."""
    return {"expected": to_json(row["expected"]), "got": _shown(row["got"]), "ok": "yes" if row["ok"] else "no"}


def _plain(value: Any) -> Any:
    """An answer as far as JSON has it, else None."""
    try:
        dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return None
    return value


def _shown(value: Any) -> str:
    try:
        text = "" if value is None else to_json(value)
    except RecursionError:
        return "[[[..."
    return text if len(text) <= 200 else text[:200] + "..."
