"""`lmkit calc softmax`, `cross-entropy`, `entropy` and `perplexity`."""

import math
from json import dumps
from typing import Annotated, Any

import typer

from lmkit.commands.calc.exercise_check import Check, check
from lmkit.commands.calc.json_arrays import Values, each, has, numbers
from lmkit.commands.options.standard import Json, Output, Run, Temperature, Unit
from lmkit.errors import DataError


def softmax(
    run: Run, values: Values = None, temperature: Temperature = 1.0, json: Json = False, output: Output = None
) -> None:
    """Compute the softmax of logits.

    exp(l / T) divided by its sum, for each array of logits. T = 0 puts all probability on the highest logit, the
    first one in a tie. Input and output are one JSON value per line.

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
    """Compute cross-entropy of distributions, or of logits and a target.

    An object of `p` and `q`, two arrays of probabilities, gives -sum p log q. An object of `logits` and `target`,
    an index from 0, gives the training loss -log softmax(logits)[target]. The result is `Infinity` where q is 0
    and p is not. Input and output are one JSON value per line.

    --check FILE grades a Python file that defines `cross_entropy(logits, target)`, which gets a list of numbers
    and an index and returns nats. The file runs in its own process (5 seconds, 512 MB per case) but with all
    your permissions, so check only what you trust. The exit status is 1 if a case is wrong.

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


def entropy(run: Run, values: Values = None, unit: Unit = "bits", json: Json = False, output: Output = None) -> None:
    """Compute the entropy of probabilities.

    -sum p log p of each array, with 0 log 0 = 0. Input and output are one JSON value per line.

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
        bool, typer.Option("--probabilities", help="Read probabilities instead of their logarithms.")
    ] = False,
    json: Json = False,
    output: Output = None,
) -> None:
    """Compute perplexity from token log-probabilities.

    exp of minus the mean of each array of natural log-probabilities, or of the logarithms of --probabilities.
    Input and output are one JSON value per line.

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
