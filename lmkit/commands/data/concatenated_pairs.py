"""`lmkit data format --style concat`: each pair as one text, for a language model that writes targets after sources."""

from collections.abc import Sequence

from lmkit.commands.options.standard import Run
from lmkit.commands.records.corpora import CorpusInput, Pair, read_pairs
from lmkit.errors import DataError, UsageError
from lmkit.io import outputs
from lmkit.io.records import to_json


def write(
    run: Run, files: Sequence[str] | None, form: str, separator: str, output: str | None, *, as_json: bool
) -> None:
    """Write `source separator target` for each pair.

    Raises DataError where a side is empty or has the separator or a line end in it.
    """
    if separator.split() != [separator]:
        raise UsageError(f"--sep {separator!r}: expected a text without white space")
    number = 0
    with outputs.open_output(output) as out:
        for group in read_pairs(run, CorpusInput(form), files):
            for pair in group:
                number += 1
                _expect_sides(pair, separator)
                prompt = f"{pair.source} {separator}"
                if as_json:
                    out.line(to_json({"id": number, "prompt": prompt, "joint": " ", "output": pair.target}))
                else:
                    out.line(f"{prompt} {pair.target}")


def _expect_sides(pair: Pair, separator: str) -> None:
    for name, side in (("source", pair.source), ("target", pair.target)):
        if not side.strip():
            raise DataError(f"{pair.place}: the {name} is empty", hint="`lmkit data filter --pairs` drops such pairs")
        if separator in side.split():
            raise DataError(f"{pair.place}: the {name} has the separator {separator!r} in it", hint="another --sep")
        if "\n" in side or "\r" in side:
            raise DataError(f"{pair.place}: the {name} has several lines, but a pair is one")
