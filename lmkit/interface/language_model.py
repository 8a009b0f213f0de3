"""Language models from Python: scores, perplexity, the next token, and generated texts."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any, Self, Unpack

from lmkit.commands.loading import models as opening
from lmkit.commands.loading import running_text, scoring_models
from lmkit.commands.options import standard
from lmkit.errors import UsageError
from lmkit.interface.arguments import (
    Filters,
    Name,
    Reading,
    Sampling,
    Text,
    bytes_of,
    checked,
    prompt_of,
    refuse_others,
    taken,
)
from lmkit.interface.opened import Opened
from lmkit.interface.results import Factor, NextToken, Perplexity, Sample, Score
from lmkit.interface.session import session
from lmkit.interface.tokenizer import Tokenizer
from lmkit.io import streams
from lmkit.protocols import StoredModel, context_limit


class LanguageModel(Opened):
    """A model that gives probabilities of texts: n-gram, feed-forward, recurrent or transformer.

    Neural models score with PyTorch where it is installed and generate with numpy, as the commands do.
    """

    def __init__(self, name: str, model: StoredModel, *, device: str = "cpu", threads: int | None = None) -> None:
        super().__init__(name, model.kind)
        self._model, self._device, self._threads = model, device, threads
        self._scoring: tuple[scoring_models.ScoringOptions, StoredModel] | None = None

    @classmethod
    def load(cls, name: Name, *, device: str = "cpu", threads: int | None = None) -> Self:
        """Return the language model of a checkpoint, folder, GGUF or ARPA file; see `lmkit.load`.

        Raises LmkitError where it can't be read or is of another kind.
        """
        path = os.fspath(name)
        checked("device", device, standard.Device)
        checked("threads", threads, standard.Threads)
        with session():
            return cls(path, opening.open_language_model(path), device=device, threads=threads)

    @property
    def tokenizer(self) -> Tokenizer:
        """Its tokenizer."""
        return Tokenizer(self.name, self._model.tokenizer)

    @property
    def context_length(self) -> int | None:
        """The most tokens of a prompt that it sees; None where that has no limit."""
        return context_limit(self._model)

    def encode(self, text: Text, *, parse_special: bool = False) -> list[int]:
        """See `Tokenizer.encode`."""
        return self.tokenizer.encode(text, parse_special=parse_special)

    def decode(self, ids: Iterable[int]) -> str:
        """See `Tokenizer.decode`."""
        return self.tokenizer.decode(ids)

    # Scores.

    def score(self, text: Text, *, eos: bool = True, bos: str = "auto", explain: bool = False) -> Score:
        """Return the log-probability of a line in nats, as `lmkit score --json` prints it.

        `eos=False` leaves the end of the line out, `explain` adds the factors. Raises UsageError for several lines.
        """
        (found,) = self.score_many([text], eos=eos, bos=bos, explain=explain)
        return found

    def score_many(
        self, texts: Iterable[Text], *, eos: bool = True, bos: str = "auto", explain: bool = False
    ) -> list[Score]:
        """Return the log-probability of each of several lines, scored together; see `score`."""
        from lmkit.commands.score import fields_of
        from lmkit.evaluation.perplexity import lines_of

        lines = b"".join([_line(text) for text in texts])
        pieces = [lines[begin : begin + streams.BLOCK] for begin in range(0, len(lines), streams.BLOCK)]
        asked = scoring_models.ScoringOptions(bos=checked("bos", bos, standard.Bos), device=self._device)
        with session() as run:
            model = self._scored_by(asked, None)
            opening.tell_not_probabilities(run, self.name, model)
            signature = opening.signature(model, scoring_models.signature_parts(model, asked, eos=eos))
            reader = running_text.text_reader("strict", raw=model.tokenizer.accepts_any_bytes)
            windows = scoring_models.ContextNotice(run, self.name, model)
            found = []
            for line in lines_of(model, reader.blocks_in(pieces, "<text>"), eos=eos):
                windows.tell(len(line.ids))
                found.append(_score(fields_of(model if explain else None, line, signature)))
            return found

    def perplexity(self, *files: Name, **reading: Unpack[Reading]) -> float:
        """Return the perplexity of texts in files, as `lmkit ppl -b` prints it; see `ppl`."""
        return self.ppl(*files, **reading).perplexity

    def ppl(self, *files: Name, **reading: Unpack[Reading]) -> Perplexity:
        """Return the perplexity of texts in files or folders, and what goes with it: the total of `lmkit ppl --json`.

        Raises LmkitError for what can't be read or scored.
        """
        from lmkit.commands import ppl
        from lmkit.commands.options.text_input import expanded
        from lmkit.commands.reports.perplexity import ModelScore

        eos = reading.get("eos", True)
        renamed = {"input": "input_form", "field": "text_field"}
        values = {renamed.get(name, name): value for name, value in reading.items() if name != "eos"}
        asked, others = taken(scoring_models.ScoringOptions, {**values, "device": self._device})
        refuse_others("ppl", others)
        texts = expanded([os.fspath(name) for name in files])
        if not texts:
            raise UsageError("no text: name files, or score strings with score()")
        with session() as run:
            model = self._scored_by(asked, self._threads)
            ppl.check_ends([self.name], [model], no_eos=not eos, explain=False)
            reader = running_text.text_reader(
                asked.encoding_errors, asked.source, raw=model.tokenizer.accepts_any_bytes, block=ppl.BLOCK
            )
            parts = scoring_models.signature_parts(model, asked, eos=eos)
            scored = ModelScore(run, self.name, model, parts)
            for _ in ppl.totals_of_texts(run, [scored], reader, texts, eos=eos, threads=self._threads):
                pass
            scored.tell_impossible()
            running_text.warn_replaced_bytes(run, reader)
            record = scored.record("total", scored.total)
            found: dict[str, Any] = {each.name: record[each.name] for each in fields(Perplexity) if each.name in record}
            return Perplexity(**{**found, "impossible": tuple(record.get("impossible", ()))})

    def _scored_by(self, asked: scoring_models.ScoringOptions, threads: int | None) -> StoredModel:
        """The model as it scores texts, kept until other options are asked for."""
        if self._scoring is None or self._scoring[0] != asked:
            (model,) = scoring_models.scoring_models([self.name], [self._model], asked)
            self._scoring = asked, model
        scoring_models.use_threads(threads, [self.name], [self._scoring[1]])
        return self._scoring[1]

    # Generation.

    def next(
        self, prompt: Text = "", *, top: int | None = 10, bos: str = "auto", parse_special: bool = False,
        window: bool = False, **filters: Unpack[Filters],
    ) -> list[NextToken]:  # fmt: skip
        """Return the most probable next tokens after a prompt, as `lmkit next --json` prints them; None: all.

        `filters` are those of sampling. Raises DataError for a prompt beyond the context length, without `window`.
        """
        from lmkit.commands.next import next_records
        from lmkit.commands.options.sampling import FilterOptions

        asked, others = taken(FilterOptions, filters)
        refuse_others("next", others)
        if top is not None and (isinstance(top, bool) or not isinstance(top, int) or top < 1):
            raise UsageError(f"top: expected a number of at least 1, or None, got {top!r}")
        with session() as run:
            model = self._generating(bos, parse_special=parse_special)
            data = prompt_of(prompt, raw=model.tokenizer.accepts_any_bytes)
            records = next_records(run, self.name, model, data, asked, top=top, window=window)
            return [NextToken(**record) for record in records]

    def sample(
        self, prompt: Text = "", *, number: int = 1, max_tokens: int = 100, stop: str | Sequence[str] = (),
        seed: int = 0, batch: int = 32, bos: str = "auto", parse_special: bool = False, window: bool = False,
        **sampling: Unpack[Sampling],
    ) -> list[Sample]:  # fmt: skip
        """Return `number` continuations of a prompt, the same as `lmkit sample --json` with the same seed.

        `sampling` are options of filters, penalties and search, such as `temperature=0.8`, `top_p=0.9` or `beam=4`;
        lmkit-sampling(7) describes them. Raises UsageError for values out of range or options that exclude each other.
        """
        from lmkit.commands.generation import requests, writers
        from lmkit.commands.options import generation as own
        from lmkit.commands.options.sampling import SamplingOptions
        from lmkit.commands.records.prompts import Prompt
        from lmkit.generation.engine import Completion

        drawing, others = taken(SamplingOptions, sampling)
        searching, others = taken(own.SearchOptions, others)
        refuse_others("sample", others)
        for name, value, declared in (
            ("number", number, own.Number), ("max_tokens", max_tokens, own.MaxTokens), ("seed", seed, standard.Seed),
            ("batch", batch, own.Batch),
        ):  # fmt: skip
            checked(name, value, declared)
        stops = [bytes_of(text) for text in ([stop] if isinstance(stop, str) else stop)]
        if b"" in stops:
            raise UsageError("stop: an empty text would end every text at once")
        drawing.check()
        plan = searching.plan(explain=False, number=number, top_k=drawing.top_k, others=drawing.drawing())
        with session() as run:
            model = self._generating(bos, parse_special=parse_special)
            data = prompt_of(prompt, raw=model.tokenizer.accepts_any_bytes)
            scoring_models.tell_unknown(run, model, data)
            build = requests.GeneratorBuilder(
                model, max_tokens, stops, batch if number > 1 else 1, growing=False, processes=1
            )
            shown = own.OutputOptions(json=True)
            generator = (
                build.searching(plan, drawing) if plan else build.sampling(drawing, own.SpeculativeOptions(), shown)
            )
            asking = requests.RequestBuilder(
                model, seed, 1 if searching.beam else number, window, lambda _: {"control": drawing.control()}
            )
            windows, found = scoring_models.ContextNotice(run, self.name, model), []
            for event in requests.run_requests(generator, asking, [[Prompt(data, 1)]]):
                if isinstance(event, Completion):
                    windows.tell(len(event.request.prompt) + len(event.ids) + len(event.closing))
                    found.append(Sample(**writers.fields_of(event, model)))
            return found

    def _generating(self, bos: str, *, parse_special: bool) -> StoredModel:
        """The model as it continues prompts: on the CPU in numpy."""
        checked("bos", bos, standard.Bos)
        if self._device == "cpu":
            opening.use_threads(self._threads, self.name)
            model = self._model
        else:
            model = self._scored_by(scoring_models.ScoringOptions(device=self._device), self._threads)
        return opening.with_bos(opening.with_special(model, parse_special), bos)


def _line(text: Text) -> bytes:
    """A line with its end. Raises UsageError for several."""
    data = bytes_of(text)
    if b"\n" in data:
        raise UsageError("a text of several lines: score each line, or the perplexity of a file with ppl()")
    return data + b"\n"


def _score(record: dict[str, Any]) -> Score:
    factors = record.pop("factors", None)
    if factors is None:
        return Score(**record)
    return Score(**record, factors=tuple(Factor(**{**each, "context": tuple(each["context"])}) for each in factors))
