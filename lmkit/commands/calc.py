"""`lmkit calc`: the formulas on numbers given as JSON, by the very functions that the models call."""

import json as reading
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer

from lmkit.commands import models as opening
from lmkit.commands.options import Output, Run, Temperature, Unit
from lmkit.edge import streams
from lmkit.edge.records import to_json
from lmkit.errors import DataError

Values = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[JSON|FILE]...", show_default=False,
        help="JSON that begins with `[` or `{`, or files of JSON Lines; `-` or none: stdin.",
    ),
]  # fmt: skip


def softmax(run: Run, values: Values = None, temperature: Temperature = 1.0, output: Output = None) -> None:
    """Probabilities of logits.

    exp(l / T) over its sum, for each array of logits. T = 0 gives all to the highest, the
    first among equals. One JSON value a line in, one out.

    Examples:
      lmkit calc softmax '[1, 2, 3]'
      echo '[1, 2, 3]' | lmkit calc softmax --temperature 0.5
    """
    from lmkit.using import decoding

    def probabilities(value: Any) -> list[float]:
        return list(decoding.softmax(_logits(value), temperature).tolist())

    _each(values, output, probabilities)


def cross_entropy(run: Run, values: Values = None, unit: Unit = "nats", output: Output = None) -> None:
    """Cross-entropy of distributions, or of a target.

    An object of `p` and `q`, two arrays of probabilities, gives -sum p log q; one of `logits`
    and `target`, an index from 0, gives -log softmax(logits)[target], the loss of training. It
    is `Infinity` where q rules out what p has. One JSON value a line in, one out.

    Examples:
      lmkit calc cross-entropy '{"p": [0.5, 0.5], "q": [0.9, 0.1]}'
      echo '{"logits": [1, 2, 3], "target": 2}' | lmkit calc cross-entropy --unit bits
    """
    from lmkit.counting import information
    from lmkit.using import decoding

    def loss(value: Any) -> float:
        if _has(value, "logits", "target"):
            logits = _logits(value["logits"])
            nats = decoding.surprisal(logits, _index(value["target"], len(logits)))
            return information.from_nats(nats, unit)
        if not _has(value, "p", "q"):
            raise DataError("expected an object of `p` and `q`, or of `logits` and `target`")
        p, q = _distribution(value["p"]), _distribution(value["q"])
        if len(p) != len(q):
            raise DataError(f"p has {len(p)} probabilities, q {len(q)}")
        return information.in_unit(information.cross_entropy(p, q), unit)

    _each(values, output, loss)


def entropy(run: Run, values: Values = None, unit: Unit = "bits", output: Output = None) -> None:
    """Entropy of probabilities.

    -sum p log p of each array, where 0 log 0 is 0. One JSON value a line in, one out.

    Examples:
      lmkit calc entropy '[0.5, 0.25, 0.25]'
      echo '[0.5, 0.5]' | lmkit calc entropy --unit nats
    """
    from lmkit.counting import information

    _each(values, output, lambda value: information.in_unit(information.entropy(_distribution(value)), unit))


def perplexity(
    run: Run,
    values: Values = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="The numbers are probabilities, not their logarithms.")
    ] = False,
    output: Output = None,
) -> None:
    """Perplexity of the log-probabilities of tokens.

    exp of minus the mean of each array of natural logarithms of probabilities, or of the
    logarithms of --probabilities. One JSON value a line in, one out.

    Examples:
      lmkit calc perplexity '[-0.69, -1.39]'
      echo '[0.5, 0.25]' | lmkit calc perplexity --probabilities
    """
    from lmkit.using import evaluation

    def answer(value: Any) -> float:
        numbers = _numbers(value, low=0.0 if probabilities else -math.inf, high=1.0 if probabilities else 0.0)
        return evaluation.perplexity_of(numbers, logarithms=not probabilities)

    _each(values, output, answer)


# One JSON value a line in, one a line out.


def _each(values: Sequence[str] | None, output: str | None, function: Callable[[Any], Any]) -> None:
    """Answers each value on a line of its own. Raises DataError that names the value's place."""
    sources = list(values or [streams.STDIN])
    opening.one_stdin(*sources)
    with streams.open_output(output, inputs=[name for name in sources if not _is_json(name)]) as out:
        count = 0
        for count, (place, text) in enumerate(_texts(sources), 1):  # noqa: B007
            try:
                answer = function(_parsed(text))
            except DataError as error:
                raise DataError(f"{place}: {error}", hint=error.hint) from None
            except RecursionError:
                raise DataError(f"{place}: nested too deeply") from None
            out.line(to_json(answer))
        if not count:
            raise DataError("no numbers: the input is empty")


def _is_json(source: str) -> bool:
    return source.lstrip().startswith(("[", "{"))


def _texts(sources: Sequence[str]) -> Iterator[tuple[str, str]]:
    reader = streams.TextReader(eager=True)
    for source in sources:
        if _is_json(source):
            yield "argument", source
            continue
        for number, line in enumerate(reader.lines(source), 1):
            yield f"{streams.display(source)}:{number}", line.decode()


def _parsed(text: str) -> Any:
    try:
        return reading.loads(text)
    except reading.JSONDecodeError as error:
        raise DataError(f"not JSON: {error.msg} (column {error.colno})", hint="one JSON value a line") from None
    except ValueError:
        raise DataError(f"a number of more than {sys.get_int_max_str_digits()} digits") from None


def _has(value: Any, *keys: str) -> bool:
    return isinstance(value, Mapping) and set(keys) <= set(value)


def _numbers(value: Any, *, low: float = -math.inf, high: float = math.inf) -> Any:
    """An array of numbers within bounds. Raises DataError for anything else."""
    import numpy as np

    if not isinstance(value, list) or not value:
        raise DataError("expected an array of numbers")
    for number in value:
        if isinstance(number, bool) or not isinstance(number, int | float) or not low <= number <= high:
            within = "" if (low, high) == (-math.inf, math.inf) else f" from {low:g} to {high:g}"
            raise DataError(f"{reading.dumps(number)[:40]} is not a number{within}")
    try:
        return np.array(value, dtype=np.float64)
    except OverflowError:
        raise DataError("a number is too large") from None


def _logits(value: Any) -> Any:
    logits = _numbers(value)
    if logits.max() in (math.inf, -math.inf):
        raise DataError("the highest of the logits is not finite")
    return logits


def _index(value: Any, size: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < size:
        raise DataError(f"target {reading.dumps(value)[:40]} is not an index from 0 to {size - 1}")
    return value


def _distribution(value: Any) -> Any:
    from lmkit.counting.information import distribution

    return distribution(_numbers(value))
