"""A training run of a prefix language model: the settings of a transformer, the pairs of an encoder-decoder."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, ClassVar

from lmkit.commands.options.pairs import PairOptions
from lmkit.commands.options.standard import Run
from lmkit.commands.options.training import Training
from lmkit.commands.training_run import neural_session
from lmkit.commands.training_run.seq2seq_setup import Seq2SeqSetup
from lmkit.commands.training_run.setup import MakeSettings
from lmkit.errors import UsageError

TEXTS_ONLY = (
    "normalize", "punctuation", "by", "pack", "max_vocab", "min_count", "text_field", "loss_at", "embeddings",
    "find_batch",
)  # fmt: skip
"""Options about running text."""


@dataclass(frozen=True)
class PrefixPairs(PairOptions):
    """Pairs of which each side has half of the context."""

    longer: ClassVar[str] = "--context N"


def train(run: Run, files: Sequence[str], training: Training, make: MakeSettings, context: int) -> None:
    """Trains on pairs with batches of about --batch x --context tokens of a side. Raises UsageError."""
    wrong = [name for name in TEXTS_ONLY if name in run.given]
    if wrong:
        named = {"text_field": "field"}.get(wrong[0], wrong[0]).replace("_", "-")
        raise UsageError(f"--prefix-lm learns from pairs and cannot be combined with --{named}")
    pairs = PrefixPairs(form=training.input_form, tokens=training.tokens, shared=True, max_length=context // 2 - 2)
    pairs.check(list(files), training.valid, training.valid_fraction)

    def settings(vocabulary: int, _sources: int | None = None) -> Any:
        from lmkit.architectures.prefix_lm import PrefixLMConfig

        body = make(vocabulary)
        own = {field.name: getattr(body, field.name) for field in fields(body)}
        return PrefixLMConfig(**own, source_vocabulary=vocabulary)

    setup = partial(Seq2SeqSetup, pairs=pairs)
    neural_session.train(run, files, training, settings, time_steps=training.batch * context, setup=setup)
