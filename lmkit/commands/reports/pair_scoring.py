"""Targets given their sources, under an encoder-decoder: nats of each, and perplexity of all."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from lmkit.commands.loading import models as opening
from lmkit.commands.loading.scoring_models import ScoringOptions
from lmkit.commands.options.standard import Run
from lmkit.commands.records.corpora import CorpusInput, Pair, read_pairs
from lmkit.commands.reports.perplexity import ScoreReport, numbers_of
from lmkit.errors import CheckpointError, DataError, UsageError
from lmkit.io import outputs, streams
from lmkit.io.records import Table
from lmkit.protocols import EncoderDecoder, Tokenizer, is_encoder_decoder

if TYPE_CHECKING:
    from lmkit.evaluation.perplexity import Line

GROUP = 256
"""Pairs that are scored together."""


def refuse(scoring: ScoringOptions, others: Mapping[str, bool]) -> None:
    """Raises UsageError for options that mean nothing to pairs of source and target."""
    given = {
        "--mix": scoring.mix is not None, "--stride": scoring.stride is not None, "--bos": scoring.bos != "auto",
        "--device": scoring.device != "cpu", "--batch-tokens": scoring.batch_tokens is not None,
        "--field": scoring.text_field is not None,
    }  # fmt: skip
    for name, is_given in {**others, **given}.items():
        if is_given:
            raise UsageError(f"{name} is not for pairs of source and target")


class PairTexts:
    """A file of pairs, an encoder-decoder that scores them, and the signature of its scores."""

    def __init__(
        self, run: Run, name: str, model: EncoderDecoder, pairs: str, scoring: ScoringOptions, *, eos: bool
    ) -> None:
        self._run, self._model, self._pairs, self._eos = run, model, pairs, eos
        self._input = CorpusInput(input_form=scoring.input_form, encoding_errors=scoring.encoding_errors)
        parts = {**model.signature, "eos": "yes" if eos else "no", "unknown": "scored"}
        self.signature = "|".join(f"{key}:{value}" for key, value in parts.items())
        self.tokenizer, self.name = model.tokenizer, name

    def lines(self) -> Iterator[tuple[str, "Line"]]:
        """Each source, and its target as a line with its nats. Raises DataError where there are no pairs."""
        import numpy as np

        from lmkit.evaluation.perplexity import Line

        model, count = self._model, 0
        limit = model.target_limit
        end = np.array([model.form.newline_id] if self._eos else [], dtype=np.int32)
        for pairs in self._groups():
            sources, targets = [], []
            for pair in pairs:
                with opening.error_context(pair.place):
                    sources.append(model.source_ids(pair.source.encode()))
                    targets.append(np.concatenate((model.tokenizer.encode(pair.target.encode()), end)))
                    size = len(targets[-1])
                    if limit is not None and size > limit:
                        raise DataError(f"a target of {size} tokens, its end too, exceeds the model's {limit}")
            scored = zip(pairs, targets, model.score_pairs(sources, targets), strict=True)
            for pair, ids, nats in scored:
                count += 1
                yield pair.source, Line(pair.target.encode(), ids, nats)
        if not count:
            raise DataError(f"{streams.display(self._pairs)}: no pairs")

    def _groups(self) -> Iterator[list[Pair]]:
        for group in read_pairs(self._run, self._input, [self._pairs]):
            for pair in group:
                if "\n" in pair.target:
                    raise DataError(f"{pair.place}: a target of several lines, expected one line")
            rest = iter(group)
            while some := list(islice(rest, GROUP)):
                yield some


def opened(run: Run, names: Sequence[str], pairs: str, scoring: ScoringOptions, *, eos: bool) -> PairTexts:
    """The pairs of a file with the only model. Raises CheckpointError where that is no encoder-decoder."""
    if len(names) > 1:
        raise UsageError("pairs of source and target take one model")
    model = opening.open_any(names[0])
    if not is_encoder_decoder(model):
        raise CheckpointError(f"{streams.display(names[0])}: of kind {model.kind}, not an encoder-decoder")
    return PairTexts(run, names[0], model, pairs, scoring, eos=eos)


def score(out: outputs.Output, texts: PairTexts, *, explain: bool, as_json: bool, bare: bool) -> None:
    """Print the nats of each target, or of each of its tokens and what of the target is before it."""
    if bare:
        for _, line in texts.lines():
            out.line(repr(line.total))
        return
    columns = (
        ("line", "token", "context", "order", "nats") if explain else ("line", "nats", "tokens", "source", "target")
    )
    table = Table(out, columns, as_json=as_json)
    for number, (source, line) in enumerate(texts.lines(), 1):
        record = {
            "line": number, "nats": line.total, "tokens": len(line.ids), "source": source,
            "target": line.text.decode(), "signature": texts.signature,
        }  # fmt: skip
        if not explain:
            table.row(record)
            continue
        factors = _factors(texts.tokenizer, line)
        if as_json:
            table.row({**record, "factors": factors})
        else:
            table.rows({"line": number, **each, "context": " ".join(each["context"])} for each in factors)


def _factors(tokenizer: Tokenizer, line: "Line") -> list[dict[str, Any]]:
    """Each token of a target, those before it, and its nats, given these and the source."""
    pieces = [tokenizer.piece(token).decode(errors="replace") for token in line.ids.tolist()]
    return [
        {"token": piece, "context": pieces[:place], "order": place + 1, "nats": nats}
        for place, (piece, nats) in enumerate(zip(pieces, line.nats.tolist(), strict=True))
    ]


def perplexity(
    run: Run, names: Sequence[str], pairs: str, scoring: ScoringOptions, *, eos: bool, as_json: bool, bare: bool,
    output: str | None,
) -> None:  # fmt: skip
    """Print the perplexity of all targets given their sources."""
    from lmkit.evaluation.perplexity import Totals, measure

    texts = opened(run, names, pairs, scoring, eos=eos)
    total, unk = Totals(), texts.tokenizer.specials.get("unk")
    with outputs.open_output(output) as out:
        shown = ScoreReport(run, out, as_json=as_json, bare=bare, several_models=False)
        for _, line in texts.lines():
            known = line.ids != unk if unk is not None else line.ids == line.ids
            _, words, characters, size = measure(line.text + b"\n")
            total.add(
                Totals(
                    len(line.ids), int((~known).sum()), line.total, float(line.nats[known].sum()), words, characters,
                    size,
                )
            )  # fmt: skip
        record: dict[str, Any] = {"file": streams.display(pairs), **numbers_of(total), "signature": texts.signature}
        shown.add({**record, "model": streams.display(texts.name)}, last=True)
