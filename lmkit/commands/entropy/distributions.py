"""Entropies of distributions in files: probabilities, counts, a joint table."""

from collections.abc import Callable, Sequence
from typing import Any

from lmkit.commands.entropy.request import EntropyRequest, correction, show, tell_infinite
from lmkit.commands.loading import running_text
from lmkit.commands.options.standard import Run
from lmkit.errors import DataError
from lmkit.io import outputs, streams, text_files

HINT = "--normalize rescales weights"


def _at(place: str, make: Callable[[], Any]) -> Any:
    """The result, or its DataError with the place in front."""
    try:
        return make()
    except DataError as error:
        raise DataError(f"{place}: {error}", hint=error.hint) from None


def probabilities(run: Run, asked: EntropyRequest, out: outputs.Output) -> None:
    """`--probs`, alone or `--against` others in the same order."""
    from lmkit.information.measures import Pair, entropy

    p = _distribution(asked, asked.inputs)
    sizes = {"symbols": len(p), "distinct": int((p > 0).sum())}
    if asked.against is None:
        show(run, asked, out, {**asked.answer(entropy(p)), **sizes})
        return
    q = _distribution(asked, [asked.against])
    if len(p) != len(q):
        raise DataError(f"{streams.display(asked.against)}: {len(q)} probabilities against {len(p)}")
    show(run, asked, out, {**asked.pair(Pair(p, q)), **sizes})


def _distribution(asked: EntropyRequest, names: Sequence[str]) -> Any:
    from lmkit.information.measures import distribution
    from lmkit.io import number_tables

    weights, place = number_tables.weights(names, _lines(asked))
    return _at(place, lambda: distribution(weights, rescale=asked.normalize, hint=HINT))


def counts(run: Run, asked: EntropyRequest, out: outputs.Output) -> None:
    """`--counts`, alone or `--against` others."""
    from lmkit.information.measures import CORRECTIONS, Pair, Spectrum

    counted = _counts(asked, asked.inputs)
    sample = Spectrum.of(counted.values())
    sizes = {"symbols": sample.total, "distinct": sample.distinct}
    if asked.against is None:
        answer = asked.answer(CORRECTIONS[asked.correction](sample))
        show(run, asked, out, {**answer, **sizes, **correction(asked, CORRECTIONS["none"](sample))})
        return
    others = _counts(asked, [asked.against])
    pair = Pair.of_counts(*_aligned(counted, others), add=asked.add)
    tell_infinite(run, asked, pair)
    show(run, asked, out, {**asked.pair(pair), **sizes, "add": asked.add})


def _counts(asked: EntropyRequest, names: Sequence[str]) -> dict[bytes, int]:
    from lmkit.io import number_tables

    found = number_tables.counts(names, _lines(asked))
    if not any(found.values()):
        raise DataError(f"{streams.display(names[-1])}: nothing was counted: no count is above 0")
    return found


def _aligned(counted: dict[bytes, int], others: dict[bytes, int]) -> tuple[Any, Any]:
    """The counts of two samples over the symbols of both."""
    import numpy as np

    symbols = list({**counted, **others})
    one, other = ([found.get(symbol, 0) for symbol in symbols] for found in (counted, others))
    return np.array(one), np.array(other)


def joint(run: Run, asked: EntropyRequest, out: outputs.Output) -> None:
    """`--joint`."""
    from lmkit.information.measures import Joint, joint_distribution
    from lmkit.io import number_tables

    rows, place = number_tables.matrix(asked.inputs[0], _lines(asked))
    found = Joint.of(_at(place, lambda: joint_distribution(rows, rescale=asked.normalize, hint=HINT)))
    say = asked.information
    record = {
        **asked.answer(found.x), "joint": say(found.joint), "conditional": say(found.y_given_x),
        "mutual_information": say(found.mutual_information), "normalised_mutual_information": found.normalised,
        "entropy_x": say(found.x), "entropy_y": say(found.y),
        "y_given_x": say(found.y_given_x), "x_given_y": say(found.x_given_y),
    }  # fmt: skip
    show(run, asked, out, record, bare="joint")


def _lines(asked: EntropyRequest) -> text_files.TextReader:
    return running_text.text_reader(asked.encoding_errors)
