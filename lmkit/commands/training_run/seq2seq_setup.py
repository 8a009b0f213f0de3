"""What the training run of an encoder-decoder is made of, from options: pairs, batches, network, objective."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from lmkit.commands.options.pairs import BLEU, KINDS, PairOptions
from lmkit.commands.training_run import pair_texts
from lmkit.commands.training_run.pair_texts import PairTexts
from lmkit.commands.training_run.seq2seq_reporter import Seq2SeqReporter
from lmkit.commands.training_run.setup import Setup
from lmkit.errors import UsageError

if TYPE_CHECKING:
    from lmkit.training.batches import Batches
    from lmkit.training.plan import Plan

VALIDATED = 500
"""Validation pairs whose BLEU is measured, at most; spread evenly."""


@dataclass(kw_only=True)
class Seq2SeqSetup(Setup):
    """The parts of a run; `make` takes the sizes of both vocabularies, and `time_steps` are the tokens of a batch."""

    kinds: ClassVar[tuple[str, ...]] = KINDS
    batch_option: ClassVar[str] = "batch_tokens"

    pairs: PairOptions
    embedding_lr: float | None = None
    """Peak learning rate of tables that are no heads; None: that of heads."""

    def plan(self, tokens_a_step: int) -> "Plan":
        """See `Setup.plan`."""
        plan = super().plan(tokens_a_step)
        return replace(plan, rates=replace(plan.rates, embeddings=self.embedding_lr))

    def read(self) -> PairTexts:
        """See `Setup.read`."""
        t = self.training
        self.expect_held_out()
        return pair_texts.read(
            self.run, self.inputs, self.pairs, valid=t.valid, valid_fraction=t.valid_fraction,
            encoding_errors=t.encoding_errors,
        )  # fmt: skip

    def expect_held_out(self) -> None:
        """Raises UsageError where an option needs validation pairs and there are none."""
        t = self.training
        held_out = t.valid is not None or self.pairs.valid_source is not None or bool(t.valid_fraction)
        if (t.select_by or t.patience or t.average > 1) and not held_out:
            raise UsageError("--select-by, --average and --patience need validation pairs: --valid or --valid-fraction")

    def settings_of(self, texts: PairTexts) -> Any:
        """See `Setup.settings_of`."""
        make: Any = self.make
        return make(texts.tokenizer.size, texts.source_tokenizer.size)

    def tokenizers(self) -> dict[str, tuple[str, Any]]:
        """See `Setup.tokenizers`."""
        return {
            "tokens": ("source tokenizer", self.texts.source_tokenizer),
            "target_tokens": ("tokenizer", self.texts.tokenizer),
        }

    def tokens_a_step(self, batches: Any) -> int:
        """See `Setup.tokens_a_step`."""
        return int(batches.tokens)

    def batches(self) -> "Batches":
        """See `Setup.batches`."""
        from lmkit.training.pair_batches import ShuffledPairs

        return ShuffledPairs(self.texts.training, self.time_steps, self.training.seed)

    @property
    def row_length(self) -> int:
        """See `Setup.row_length`: of the longer side of the longest pair."""
        return max(int(sizes.max()) for sizes in self.texts.training.lengths())

    @property
    def most_rows(self) -> int:
        """See `Setup.most_rows`."""
        return len(self.texts.training)

    def full_batches(self, full: Any) -> "Batches":
        """See `Setup.full_batches`."""
        from lmkit.training.pair_batches import FullPairs

        return FullPairs(full.rows, full.time)

    def objective(self) -> Any:
        """See `Setup.objective`."""
        from lmkit.training.objectives.seq2seq import SequenceToSequence

        return SequenceToSequence(self.training.label_smoothing, self.training.teacher_forcing)

    def validation(self) -> Any:
        """See `Setup.validation`: with --select-by bleu also BLEU of greedy texts."""
        from lmkit.training.seq2seq_validation import TranslationValidation
        from lmkit.training.validation import BatchValidation

        held_out = self.texts.validation
        if held_out is None:
            return None
        loss = BatchValidation(self.objective(), list(held_out.in_order(self.time_steps)))
        if self.training.select_by != BLEU:
            return loss
        step = -(-len(held_out) // VALIDATED)
        references = [target for _, target in self.texts.references[::step]]
        return TranslationValidation(self.model({}), loss, held_out.sources[::step], references)

    def model(self, weights: Any) -> Any:
        """See `Setup.model`."""
        from lmkit.architectures.seq2seq_model import LoadedSeq2Seq

        texts: PairTexts = self.texts
        return LoadedSeq2Seq(
            self.settings, texts.form, texts.source_form, texts.tokenizer, texts.source_tokenizer, weights
        )

    def reporter(self, plan: "Plan", *, first: bool) -> Seq2SeqReporter:
        """See `Setup.reporter`."""
        t = self.training
        return Seq2SeqReporter(
            self.run, plan, self.texts, self.settings, t.log if first else None, t.plot if first else None, speaks=first
        )
