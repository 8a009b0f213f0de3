"""What an encoder's training run is made of, from options: texts, masks, batches, network, objective."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from lmkit.commands.data.encoder_text import encoder_format
from lmkit.commands.loading import running_text
from lmkit.commands.loading.provenance import stored
from lmkit.commands.training_run.encoder_reporter import EncoderReporter
from lmkit.commands.training_run.setup import Setup
from lmkit.errors import DataError, UsageError
from lmkit.io import streams
from lmkit.io.record_reader import files_in

if TYPE_CHECKING:
    from lmkit.data.encoder_corpus import EncoderCorpus
    from lmkit.data.encoder_sequences import EncoderFormat
    from lmkit.data.masking import Masking
    from lmkit.training.batches import Batches
    from lmkit.training.plan import Plan

MLM, PAIRS, ELECTRA = OBJECTIVES = ("mlm", "mlm+nsp", "electra")
TASKS = {MLM: "mlm", PAIRS: "mlm+pair", ELECTRA: "discriminator"}
"""Heads by the objectives that train them."""


class EncoderTexts(NamedTuple):
    """A tokenizer, its special tokens, the text to train on, the one to validate on, and the record of the inputs."""

    tokenizer: Any
    form: "EncoderFormat"
    training: "EncoderCorpus"
    validation: "EncoderCorpus | None"
    record: list[dict[str, Any]]


@dataclass(kw_only=True)
class EncoderSetup(Setup):
    """The parts of a run for one of OBJECTIVES."""

    goal: str
    mask_rate: float
    whole_word: bool

    def read(self) -> EncoderTexts:
        """See `Setup.read`. Raises DataError for a text that nothing can be learned from."""
        t = self.training
        if t.valid is not None and t.valid_fraction:
            raise UsageError("--valid cannot be combined with --valid-fraction")
        if (t.select_by or t.patience or t.average > 1) and t.valid is None and not t.valid_fraction:
            raise UsageError(
                "--select-by, --average and --patience need a validation text: --valid or --valid-fraction"
            )
        roles = ("mask", "cls", "sep") if self.goal == PAIRS else ("mask",)
        tokenizer, form = encoder_format(t.tokens, *roles)
        corpus, record = self._encoded(tokenizer, self.inputs)
        if not corpus.tokens:
            raise DataError("no text to train on: the input is empty")
        held_out, records = None, [record]
        if t.valid is not None:
            files = files_in(t.valid)
            held_out, record = self._encoded(tokenizer, files)
            records.append(record)
            if not held_out.tokens:
                raise DataError(f"{streams.display(t.valid)}: no text to validate on")
        elif t.valid_fraction:
            corpus, held_out = corpus.split("file" if self.goal == PAIRS else t.by, t.valid_fraction)
        for text in (corpus, held_out) if self.goal == PAIRS else ():
            if text is not None and len(set(text.documents.tolist())) == len(text.documents):
                raise DataError(
                    "no two sentences follow each other in a document",
                    hint="mlm+nsp reads a sentence per line, and blank lines between documents",
                )
        return EncoderTexts(tokenizer, form, corpus, held_out, records)

    def _encoded(self, tokenizer: Any, files: Any) -> "tuple[EncoderCorpus, dict[str, Any]]":
        from lmkit.data.encoder_corpus import encode

        t = self.training
        reader = running_text.text_reader(t.encoding_errors, t.source, raw=tokenizer.accepts_any_bytes)
        by = "blank-line" if self.goal == PAIRS else t.by
        corpus, record = encode(tokenizer, running_text.read_documents(self.run, reader, files, by, "reading"))
        return corpus, record | stored(reader, files, record)

    def _masking(self, rate: float, *, whole_words: bool) -> "Masking":
        """How tokens are masked: for ELECTRA all that are selected, since its discriminator reads true tokens."""
        from dataclasses import replace

        from lmkit.data.masking import Masking

        masking = Masking.of(self.texts.tokenizer, self.texts.form, rate, whole_words=whole_words)
        return replace(masking, masked=1.0, kept=0.0) if self.goal == ELECTRA else masking

    def batches(self) -> "Batches":
        """See `Setup.batches`."""
        from lmkit.training import encoder_batches as batching

        t, form, corpus = self.training, self.texts.form, self.texts.training
        sizes = (t.batch, self.time_steps, t.seed)
        masking = self._masking(self.mask_rate, whole_words=self.whole_word)
        if not masking.ordinary[corpus.ids].any():
            raise DataError(
                "no token of the text can be masked: all are special or unknown", hint="--tokens FILE that spells it"
            )
        examples: batching.Examples
        if self.goal == PAIRS:
            examples = batching.PairExamples(corpus, form, *sizes)
        elif t.by == "stream":
            examples = batching.StreamExamples(corpus, form, *sizes)
        else:
            examples = batching.TextExamples(corpus, t.by, form, *sizes)
        return batching.MaskedBatches(examples, masking, t.seed)

    def full_batches(self, full: Any) -> "Batches":
        """See `Setup.full_batches`."""
        from lmkit.training.encoder_batches import FullSequences

        return FullSequences(full.rows, full.time, self.mask_rate, pairs=self.goal == PAIRS)

    def objective(self) -> Any:
        """See `Setup.objective`."""
        from lmkit.training.objectives.masked_lm import MaskedLanguageModelling
        from lmkit.training.objectives.replaced_tokens import ReplacedTokenDetection

        return ReplacedTokenDetection() if self.goal == ELECTRA else MaskedLanguageModelling(pairs=self.goal == PAIRS)

    def network(self) -> Any:
        """See `Setup.network`; for ELECTRA two of them."""
        import torch

        from lmkit.nn.electra import ElectraNetwork
        from lmkit.nn.factory import SEEDS

        if self.goal != ELECTRA:
            return super().network()
        network = ElectraNetwork(self.settings, self.training.dropout)
        network.initialise(torch.Generator().manual_seed(self.training.seed % SEEDS))
        return network

    def validation(self) -> Any:
        """See `Setup.validation`: one mask of 15 % of the tokens, whatever is trained with."""
        from lmkit.data.masking import RATE
        from lmkit.training.encoder_batches import validation_batches
        from lmkit.training.validation import BatchValidation

        if self.texts.validation is None:
            return None
        batches = validation_batches(
            self.texts.validation, self.training.by, self.texts.form, self._masking(RATE, whole_words=False),
            self.time_steps, pairs=self.goal == PAIRS,
        )  # fmt: skip
        return BatchValidation(self.objective(), batches)

    def model(self, weights: Any) -> Any:
        """See `Setup.model`; ELECTRA's generator is not kept."""
        from lmkit.architectures.encoder_model import LoadedEncoder
        from lmkit.nn.electra import kept_tensors

        own = kept_tensors(weights) if self.goal == ELECTRA else weights
        return LoadedEncoder(self.settings, self.texts.form, self.texts.tokenizer, own)

    def reporter(self, plan: "Plan", *, first: bool) -> EncoderReporter:
        """See `Setup.reporter`."""
        t = self.training
        return EncoderReporter(
            self.run, plan, self.texts, self.settings, t.log if first else None, t.plot if first else None, speaks=first
        )

    @property
    def forward_flops(self) -> int:
        """See `Setup.forward_flops`: heads of masked language modelling run at selected tokens only."""
        from lmkit.nn.electra import generator_config

        def flops(settings: Any, rate: float) -> int:
            head = 2 * settings.head.products
            return int(settings.forward_flops - head + rate * head)

        if self.goal == ELECTRA:
            return flops(self.settings, 1.0) + flops(generator_config(self.settings), self.mask_rate)
        return flops(self.settings, self.mask_rate)
