"""What the fine-tuning of an encoder-decoder is made of, from options: its weights, and the pairs of several tasks."""

from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from lmkit.commands.training_run.pair_texts import PairEncoder, PairLines, PairReader, PairTexts
from lmkit.commands.training_run.seq2seq_setup import Seq2SeqSetup
from lmkit.errors import DataError, UsageError
from lmkit.io import streams

if TYPE_CHECKING:
    from lmkit.architectures.seq2seq_model import LoadedSeq2Seq
    from lmkit.training.batches import Batches


@dataclass(kw_only=True)
class Seq2SeqTuning(Seq2SeqSetup):
    """The parts of a run that begins with the weights of a model, `base`, and has its tokenizers.

    `shares` are the weights of the files, none where size decides; both are raised to 1 / `temperature`.
    """

    base: "LoadedSeq2Seq"
    shares: list[float]
    temperature: float

    def read(self) -> PairTexts:
        """See `Setup.read`."""
        t, base = self.training, self.base
        self.expect_held_out()
        reader = PairReader(self.run, self.pairs, t.encoding_errors)
        alone = self.pairs.source is not None
        tasks = [reader.training(self.inputs)] if alone else [reader.training([name]) for name in self.inputs]
        held_out = reader.validation(t.valid)
        records = [task.record for task in tasks] + ([] if held_out is None else [held_out.record])
        if held_out is None and t.valid_fraction:
            parts = [task.split(t.valid_fraction) for task in tasks]
            tasks, others = [first for first, _ in parts], [last for _, last in parts]
            held_out = PairLines(
                [line for one in others for line in one.sources], [line for one in others for line in one.targets], {}
            )
        encode = PairEncoder(
            self.run, base.source_tokenizer, base.tokenizer, base.form, base.source_form, self._most(),
            self.pairs.longer,
        )  # fmt: skip
        found = []
        for task, name in zip(tasks, self.inputs, strict=False):
            found.append(encode(task, "training")[0])
            if not len(found[-1]):
                raise DataError(f"{streams.display(name)}: no pairs to train on, or all are too long")
        from lmkit.training.pair_batches import Pairs

        training = Pairs(
            [ids for one in found for ids in one.sources], [ids for one in found for ids in one.targets],
            base.form.start, sum(one.bytes for one in found),
        )  # fmt: skip
        return PairTexts(
            base.tokenizer, base.source_tokenizer, base.form, base.source_form, training, *encode.held_out(held_out),
            records, list(accumulate(map(len, found))),
        )  # fmt: skip

    def _most(self) -> int:
        """The most tokens of a side, without special ones: --max-length, or as many as the model has places for."""
        limits = [limit for limit in (self.base.settings.source_limit, self.base.settings.target_limit) if limit]
        form = self.base.source_form
        around = max(len(form.before) + len(form.after), len(form.target) + 1)
        return min([self.pairs.max_length, *(limit - around for limit in limits)])

    def settings_of(self, texts: PairTexts) -> Any:
        """See `Setup.settings_of`."""
        return self.base.settings

    def tokenizers(self) -> dict[str, tuple[str, Any]]:
        """See `Setup.tokenizers`: they are the model's."""
        return {}

    @property
    def begun(self) -> dict[str, str]:
        """See `Setup.begun`."""
        return {"parent": self.base.digest}

    def network(self) -> Any:
        """See `Setup.network`."""
        from lmkit.nn import factory

        return factory.loaded(self.base, dropout=self.training.dropout)

    def batches(self) -> "Batches":
        """See `Setup.batches`."""
        from lmkit.training.pair_batches import ShuffledPairs

        bounds = self.texts.bounds
        sizes = [float(end - begin) for begin, end in zip([0, *bounds[:-1]], bounds, strict=True)]
        shares = [one ** (1 / self.temperature) for one in self.shares or sizes]
        mixed = len(sizes) > 1 and (self.shares or self.temperature != 1)
        return ShuffledPairs(
            self.texts.training, self.time_steps, self.training.seed, bounds if mixed else (), shares if mixed else ()
        )

    def model(self, weights: Any) -> Any:
        """See `Setup.model`."""
        return replace(self.base, tensors=weights, digest="")


def open_base(model: str | None) -> "LoadedSeq2Seq":
    """The weights of the encoder-decoder to begin with. Raises UsageError, CheckpointError for other models."""
    from lmkit.architectures.seq2seq_model import LoadedSeq2Seq
    from lmkit.commands.loading import models as opening
    from lmkit.errors import CheckpointError

    if model is None:
        raise UsageError("no model to fine-tune", hint="name one with -m MODEL")
    if model == streams.STDIN:
        raise UsageError("the model to fine-tune is read from a file or folder, not from stdin")
    weights = opening.open_weights(model)
    if not isinstance(weights, LoadedSeq2Seq):
        raise CheckpointError(
            f"{streams.display(model)}: no encoder-decoder", hint="`lmkit finetune instruct` tunes language models"
        )
    return weights
