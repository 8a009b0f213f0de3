"""Mixing models as options ask for it: weights given, or tuned on a text."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lmkit.commands.loading import models as opening
from lmkit.commands.loading import running_text
from lmkit.commands.loading.scoring_models import ScoringOptions
from lmkit.commands.options.standard import Run
from lmkit.errors import DataError, UsageError
from lmkit.io import streams
from lmkit.io.text_sources import SourceReader
from lmkit.protocols import LanguageModel

if TYPE_CHECKING:
    from lmkit.evaluation.mixture import Mixture

AUTO = "auto"


def typed_weights(option: str, text: str, count: int) -> list[float]:
    """Weights as typed, `0.7,0.3`. Raises UsageError where they are not `count` numbers that can be scaled to one."""
    try:
        values = [float(part) for part in text.replace(",", " ").split()]
    except ValueError:
        values = []
    if (
        len(values) != count
        or not all(0 <= value < float("inf") for value in values)
        or not 0 < sum(values) < float("inf")
    ):
        raise UsageError(f"{option} {text!r} is not a list of {count} numbers, none negative")
    return values


def weights_of(options: ScoringOptions, count: int) -> list[float] | None:
    """The weights that --mix gives, None for those to be tuned. Raises UsageError where options don't go together."""
    mix, mix_text = options.mix, options.mix_text
    if mix is None or mix != AUTO:
        if mix_text is not None:
            raise UsageError("--mix-text is the text on which --mix auto finds weights", hint="--mix auto")
    elif mix_text is None:
        raise UsageError(
            "--mix auto finds weights on a text", hint="--mix-text FILE, a text that is not the one to score"
        )
    if mix is None:
        return None
    if count < 2:
        raise UsageError("--mix takes two models or more", hint="-m FIRST -m SECOND")
    weights = None if mix == AUTO else typed_weights("--mix", mix, count)
    if options.bos == "never":
        raise UsageError("--bos never and --mix cannot be combined", hint="a mixture predicts every token")
    return weights


def mixture_of(
    run: Run, models: Sequence[LanguageModel], weights: Sequence[float] | None, reader: SourceReader,
    text: str | None,
) -> "Mixture":  # fmt: skip
    """A mixture with the given weights, or else with those that EM finds on a text."""
    import numpy as np

    from lmkit.evaluation.mixture import Mixture, best_weights
    from lmkit.evaluation.perplexity import Totals, measured

    mixture = Mixture(models, weights or [1.0] * len(models))
    if weights is None and text is not None:
        sizes = Totals()
        documents = _shown(run, reader, text, models)
        parts = [nats for blocks in documents for _, nats in mixture.read_each(measured(blocks, sizes))]
        if not parts or not sizes.bytes:
            raise DataError(f"{streams.display(text)}: no text to tune weights on")
        with opening.error_context(text):
            mixture = mixture.weighted(best_weights(np.concatenate(parts)))
    run.terminal.notice(f"mixture: weights {', '.join(f'{weight:.4f}' for weight in mixture.weights.tolist())}")
    for number, lacking in enumerate(mixture.lacking, 1):
        if lacking:
            run.terminal.notice(
                f"mixture: model {number} lacks {lacking} of the {mixture.tokenizer.size} tokens; "
                "they count as its unknown one"
            )
    return mixture


def _shown(run: Run, reader: SourceReader, text: str, models: Sequence[LanguageModel]) -> Iterator[Iterator[bytes]]:
    """The blocks of each document of the development text, with progress on stderr."""
    with run.terminal.progress("tuning", streams.size_of([text])) as progress:
        for blocks in running_text.documents_for(run, reader, text, models):
            yield progress.over(blocks)
