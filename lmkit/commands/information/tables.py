"""Entropies of distributions in files: probabilities, counts, a joint table."""

from collections.abc import Callable
from typing import Any

from lmkit.commands import models as opening
from lmkit.commands.information.asked import Asked, correction, show
from lmkit.edge import streams
from lmkit.errors import DataError


def _at(place: str, make: Callable[[], Any]) -> Any:
    """The result, or its DataError with the place in front."""
    try:
        return make()
    except DataError as error:
        hint = "--normalize rescales weights" if "sum to" in str(error) else None
        raise DataError(f"{place}: {error}", hint=hint) from None


def probabilities(asked: Asked, out: streams.Output) -> None:
    """`--probs`."""
    from lmkit.counting import information
    from lmkit.edge import numbers

    weights, place = numbers.weights(asked.inputs, _lines(asked))
    p = _at(place, lambda: information.distribution(weights, rescale=asked.normalize))
    record = asked.answer(information.entropy(p))
    show(asked, out, {**record, "symbols": len(p), "distinct": int((p > 0).sum())})


def counts(asked: Asked, out: streams.Output) -> None:
    """`--counts`."""
    from lmkit.counting.information import CORRECTIONS, Spectrum
    from lmkit.edge import numbers

    sample = Spectrum.of(numbers.counts(asked.inputs, _lines(asked)).values())
    if not sample:
        raise DataError(f"{streams.display(asked.inputs[-1])}: nothing was counted: no count is above 0")
    record = asked.answer(CORRECTIONS[asked.correction](sample))
    record |= {"symbols": sample.total, "distinct": sample.distinct}
    show(asked, out, {**record, **correction(asked, CORRECTIONS["none"](sample))})


def joint(asked: Asked, out: streams.Output) -> None:
    """`--joint`."""
    from lmkit.counting.information import Joint, joint_distribution
    from lmkit.edge import numbers

    rows, place = numbers.matrix(asked.inputs[0], _lines(asked))
    found = Joint.of(_at(place, lambda: joint_distribution(rows, rescale=asked.normalize)))
    say = asked.information
    record = {
        **asked.answer(found.x), "joint": say(found.joint), "conditional": say(found.y_given_x),
        "mutual_information": say(found.mutual_information), "normalised_mutual_information": found.normalised,
        "entropy_x": say(found.x), "entropy_y": say(found.y),
        "y_given_x": say(found.y_given_x), "x_given_y": say(found.x_given_y),
    }  # fmt: skip
    show(asked, out, record, bare="joint")


def _lines(asked: Asked) -> streams.TextReader:
    return opening.text_reader("word", asked.errors)
