"""What the pre-training of an encoder-decoder is made of, from options: texts, and what corrupts them."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from lmkit.commands.loading import models as opening
from lmkit.commands.loading.provenance import file_record
from lmkit.commands.options.denoising import DenoisingOptions
from lmkit.commands.options.pairs import BLEU, KINDS
from lmkit.commands.records.corpora import Corpus, CorpusInput, number_of
from lmkit.commands.training_run import pair_texts
from lmkit.commands.training_run.pair_texts import PairTexts
from lmkit.commands.training_run.seq2seq_setup import Seq2SeqSetup
from lmkit.errors import DataError, UsageError
from lmkit.io import streams

if TYPE_CHECKING:
    from lmkit.protocols import I32, Tokenizer
    from lmkit.training.denoising_batches import CorruptedTexts


@dataclass(kw_only=True)
class DenoisingSetup(Seq2SeqSetup):
    """The parts of a run on texts; both sides have one tokenizer, with the special tokens that corruption needs."""

    denoising: DenoisingOptions

    def read(self) -> PairTexts:
        """See `Setup.read`. Raises UsageError for options about pairs, DataError where there is no text."""
        self._check()
        t = self.training
        lines, record = self._lines(self.inputs)
        if not lines:
            raise DataError("no text to train on: the input is empty")
        records, held_out = [record], list[bytes]()
        if t.valid is not None:
            held_out, record = self._lines([t.valid])
            records.append(record)
            if not held_out:
                raise DataError(f"{streams.display(t.valid)}: no text to validate on")
        elif t.valid_fraction:
            border = round((1 - t.valid_fraction) * len(lines))
            if not 0 < border < len(lines):
                raise DataError("too few lines to hold some of them out", hint="--valid FILE")
            lines, held_out = lines[:border], lines[border:]
        tokenizer = self._tokenizer(lines)
        texts = self._texts(tokenizer, lines)
        validation = None
        if held_out:
            import numpy as np

            corrupted = self._texts(tokenizer, held_out)
            validation = corrupted.pairs(np.arange(len(corrupted)))
        return PairTexts(tokenizer, tokenizer, self._form(tokenizer), texts.form, texts, validation, [], records)

    def _check(self) -> None:
        """Raises UsageError for options that are about pairs."""
        pairs, t = self.pairs, self.training
        named = f"--objective {self.denoising.objective}"
        beside = {
            "--source": pairs.source, "--valid-source": pairs.valid_source, "--target-tokens": pairs.target_tokens,
        }  # fmt: skip
        for option, value in beside.items():
            if value is not None:
                raise UsageError(f"{named} learns from texts and cannot be combined with {option}")
        if t.select_by == BLEU:
            raise UsageError(f"{named} cannot be combined with --select-by bleu", hint="--select-by loss")
        if pairs.tokens in KINDS and pairs.tokens != "bpe":
            raise UsageError(
                f"{named} needs special tokens, which --tokens {pairs.tokens} does not learn",
                hint="--tokens bpe, or a file",
            )
        self.expect_held_out()

    def _lines(self, files: Sequence[str]) -> tuple[list[bytes], dict[str, Any]]:
        """The texts of files but empty ones, each as a line, and the record of them."""
        form, pairs = self.training.text_field, self.pairs
        stored = CorpusInput(pairs.form, form, pairs.on_error, self.training.encoding_errors)
        found, digest = list[bytes](), sha256()
        for chunk in Corpus(self.run, stored, files).chunks():
            for text in chunk.texts:
                line = b" ".join(text.split(b"\n")).strip()
                if line:
                    found.append(line)
                    digest.update(line + b"\n")
        size = sum(map(len, found)) + len(found)
        record: dict[str, Any] = {"bytes": size, "sha256": digest.hexdigest(), "texts": len(found)}
        held = [file_record(name) for name in files]
        return found, {**record, "files": held} if any(held) else record

    def _tokenizer(self, lines: Sequence[bytes]) -> Any:
        pairs = self.pairs
        if pairs.tokens == "bpe":
            return pair_texts.learned_merges(self.run, pairs.vocab_size, lines, self.denoising.special())
        return pair_texts.given_tokenizer(pairs.tokens)

    def _form(self, tokenizer: "Tokenizer") -> Any:
        from lmkit.data.sequences import TextFormat

        return TextFormat.of("line", tokenizer)

    def _texts(self, tokenizer: "Tokenizer", lines: Sequence[bytes]) -> "CorruptedTexts":
        """The ids of lines; long ones are cut into parts."""
        from lmkit.data.source_format import SourceFormat
        from lmkit.training.denoising_batches import CorruptedTexts

        with opening.error_context(self.pairs.tokens):
            corruption = self.denoising.corruption(tokenizer)
        most, found, long = self.pairs.max_length, list["I32"](), 0
        for ids in pair_texts.encoded_lines(tokenizer, lines, lambda ids: ids):
            long += len(ids) > most
            found += [ids[begin : begin + most] for begin in range(0, len(ids), most)]
        if long:
            self.run.terminal.notice(
                f"{number_of(long, 'text')} of {len(lines):,} longer than {most} tokens cut into parts; hint: "
                f"{self.pairs.longer}"
            )
        form, sequences = SourceFormat.of(tokenizer), self._form(tokenizer)
        size = sum(map(len, lines)) + len(lines)
        return CorruptedTexts(found, corruption, form, sequences.start, sequences.newline_id, self.training.seed, size)
