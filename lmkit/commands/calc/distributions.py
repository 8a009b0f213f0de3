"""`lmkit calc softmax`, `cross-entropy`, `entropy` and `perplexity`."""

import math
from json import dumps
from typing import Annotated, Any

import typer

from lmkit.commands.calc.exercise_check import Check, check
from lmkit.commands.calc.json_arrays import Values, each, has, numbers
from lmkit.commands.options.standard import Json, Output, Run, Temperature, Unit
from lmkit.errors import DataError


def softmax(run: Run, values: Values = None, temperature: Temperature = 1.0, output: Output = None) -> None:
    """Probabilities of logits.

    exp(l / T) over its sum, for each array of logits. T = 0 gives all to the highest, the
    first among equals. One JSON value a line in, one out.

    Examples:
      lmkit calc softmax '[1, 2, 3]'
      echo '[1, 2, 3]' | lmkit calc softmax --temperature 0.5
    """
    from lmkit.generation import log_softmax

    def probabilities(value: Any) -> list[float]:
        return list(log_softmax.softmax(_logits(value), temperature).tolist())

    each(values, output, probabilities)


def cross_entropy(
    run: Run,
    values: Values = None,
    unit: Unit = "nats",
    check_file: Check = None,
    json: Json = False,
    output: Output = None,
) -> None:
    """Cross-entropy of distributions, or of a target.

    An object of `p` and `q`, two arrays of probabilities, gives -sum p log q; one of `logits`
    and `target`, an index from 0, gives -log softmax(logits)[target], the loss of training. It
    is `Infinity` where q rules out what p has. One JSON value a line in, one out.

    --check grades FILE, Python that defines `cross_entropy(logits, target)`: a list of numbers and
    an index come in, a number in nats comes out. A Python of its own runs it, with 5 seconds and
    512 MB for each case. FILE may do all that you may, such as delete your files: check only what
    you trust. What it prints is dropped, what it starts is ended. The exit status is 0 where all
    is right, else 1.

    Examples:
      lmkit calc cross-entropy '{"p": [0.5, 0.5], "q": [0.9, 0.1]}'
      echo '{"logits": [1, 2, 3], "target": 2}' | lmkit calc cross-entropy --unit bits
      lmkit calc cross-entropy --check lab.py
    """
    if check_file is not None:
        check(run, "cross_entropy", check_file, values, as_json=json, output=output)
        return
    from lmkit.generation import log_softmax
    from lmkit.information import measures

    def loss(value: Any) -> float:
        if has(value, "logits", "target"):
            logits = _logits(value["logits"])
            nats = log_softmax.surprisal(logits, _index(value["target"], len(logits)))
            return measures.from_nats(nats, unit)
        if not has(value, "p", "q"):
            raise DataError("expected an object of `p` and `q`, or of `logits` and `target`")
        p, q = _distribution(value["p"]), _distribution(value["q"])
        if len(p) != len(q):
            raise DataError(f"p has {len(p)} probabilities, q {len(q)}")
        return measures.in_unit(measures.cross_entropy(p, q), unit)

    each(values, output, loss)


def entropy(run: Run, values: Values = None, unit: Unit = "bits", output: Output = None) -> None:
    """Entropy of probabilities.

    -sum p log p of each array, where 0 log 0 is 0. One JSON value a line in, one out.

    Examples:
      lmkit calc entropy '[0.5, 0.25, 0.25]'
      echo '[0.5, 0.5]' | lmkit calc entropy --unit nats
    """
    from lmkit.information import measures

    each(values, output, lambda value: measures.in_unit(measures.entropy(_distribution(value)), unit))


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
    from lmkit.evaluation import perplexity as perplexities

    def answer(value: Any) -> float:
        scores = numbers(value, low=0.0 if probabilities else -math.inf, high=1.0 if probabilities else 0.0)
        return perplexities.perplexity_of(scores, logarithms=not probabilities)

    each(values, output, answer)


def _logits(value: Any) -> Any:
    logits = numbers(value)
    if logits.max() in (math.inf, -math.inf):
        raise DataError("the highest of the logits is not finite")
    return logits


def _index(value: Any, size: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < size:
        raise DataError(f"target {dumps(value)[:40]} is not an index from 0 to {size - 1}")
    return value


def _distribution(value: Any) -> Any:
    from lmkit.information.measures import distribution

    return distribution(numbers(value))
