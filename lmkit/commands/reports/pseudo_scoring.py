"""Texts under an encoder: pseudo-log-likelihoods of lines, and pseudo-perplexities."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lmkit.commands.loading import encoders, running_text
from lmkit.commands.loading import models as opening
from lmkit.commands.loading.scoring_models import ScoringOptions
from lmkit.commands.options.standard import Run
from lmkit.commands.reports.perplexity import ScoreReport, numbers_of
from lmkit.errors import DataError, UsageError
from lmkit.io import outputs, streams
from lmkit.protocols import Tokenizer

if TYPE_CHECKING:
    from lmkit.evaluation.perplexity import Line

BLOCK = 1 << 14  # bytes between two steps of the progress


def refuse(scoring: ScoringOptions, others: Mapping[str, bool]) -> None:
    """Raises UsageError for options that mean nothing to an encoder."""
    given = {"--mix": scoring.mix is not None, "--stride": scoring.stride is not None, "--bos": scoring.bos != "auto"}
    for name, is_given in {**others, **given}.items():
        if is_given:
            raise UsageError(f"--pseudo and {name} exclude each other")


class PseudoTexts:
    """Texts, an encoder that scores them, and the signature of its scores."""

    def __init__(
        self, run: Run, model: Sequence[str] | None, files: Sequence[str] | None, scoring: ScoringOptions, *,
        threads: int | None, eager: bool,
    ) -> None:  # fmt: skip
        names, self.texts = opening.sources(model or [], files)
        if len(names) > 1:
            raise UsageError("--pseudo takes one model")
        self.name = names[0]
        opened = encoders.require_encoder(opening.open_any(self.name), self.name)
        with opening.error_context(self.name):
            opened.check_fills()
            _ = opened.form.mask_token
        self._backend = encoders.EncoderBackend(
            run, opened, name=self.name, device=scoring.device, precision="fp32", threads=threads
        )
        self._reader = running_text.text_reader(scoring.encoding_errors, scoring.source, eager=eager, block=BLOCK)
        self.tokenizer: Tokenizer = opened.tokenizer
        device = {"device": scoring.device} if scoring.device != "cpu" else {}
        parts = {**opened.signature, "score": "pseudo", **device}
        self.signature = "|".join(f"{key}:{value}" for key, value in parts.items())
        self._run = run

    def blocks(self, name: str) -> Iterator[bytes]:
        """The text in blocks of whole lines."""
        yield from running_text.warn_if_no_text(self._run, name, self._reader.blocks(name), self._reader.source)

    def lines(self) -> Iterator["Line"]:
        """All lines of all texts with their nats."""
        for name in self.texts:
            yield from self._of(name, "pseudo_lines")
        running_text.warn_replaced_bytes(self._run, self._reader)

    def totals(self, name: str) -> Iterator[Any]:
        """The totals of the parts of a text."""
        return self._of(name, "pseudo_totals")

    def _of(self, name: str, what: str) -> Iterator[Any]:
        from lmkit.evaluation import masked_places
        from lmkit.evaluation.sentence_vectors import TooLong

        lines = size = 0
        for block in self.blocks(name):
            size += len(block)
            encoder = self._backend.for_bytes(size * 8)  # each token is a text
            try:
                if what == "pseudo_totals":
                    yield masked_places.pseudo_totals(encoder, block)
                else:
                    yield from masked_places.pseudo_lines(encoder, block)
            except TooLong as error:
                raise DataError(f"{streams.display(name)}:{lines + error.line}: {error}", hint=error.hint) from None
            lines += block.count(b"\n")

    def warn(self) -> None:
        """Says how many bytes were replaced."""
        running_text.warn_replaced_bytes(self._run, self._reader)


def perplexity(
    run: Run, model: Sequence[str] | None, files: Sequence[str] | None, scoring: ScoringOptions, *,
    threads: int | None, as_json: bool, bare: bool, output: str | None,
) -> None:  # fmt: skip
    """Print the pseudo-perplexity of texts, one by one and together."""
    from lmkit.evaluation.perplexity import Totals

    texts = PseudoTexts(run, model, files, scoring, threads=threads, eager=False)
    total = Totals()
    with outputs.open_output(output) as out:
        shown = ScoreReport(run, out, as_json=as_json, bare=bare, several_models=False)

        def record(name: str, totals: Totals) -> dict[str, Any]:
            own = {"signature": texts.signature, "model": streams.display(texts.name)}
            return {"file": name, **numbers_of(totals), **own}

        with run.terminal.progress("scoring", streams.size_of(texts.texts)) as progress:
            for name in texts.texts:
                totals = Totals()
                for part in texts.totals(name):
                    totals.add(part)
                    progress.advance(part.bytes)
                total.add(totals)
                if len(texts.texts) > 1:
                    shown.add(record(streams.display(name), totals))
        if not total.tokens:
            raise DataError("no text to score: the input is empty")
        shown.add(record("total" if len(texts.texts) > 1 else streams.display(texts.texts[0]), total), last=True)
        texts.warn()
