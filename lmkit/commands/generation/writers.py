"""Writers of generated texts: as text that grows, as records, as a table of steps, and what a search says besides."""

from codecs import getincrementaldecoder
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from lmkit.commands.generation.requests import id_of
from lmkit.commands.options.generation import OutputOptions
from lmkit.commands.options.standard import Run
from lmkit.generation.constraint_report import ConstraintReport
from lmkit.generation.engine import Completion, Request, TextDelta
from lmkit.generation.step_trace import trace_fields
from lmkit.io.outputs import Output
from lmkit.io.records import Table, cell, to_json
from lmkit.protocols import LanguageModel

if TYPE_CHECKING:  # what only searches need
    from lmkit.generation.beam_search import Found
    from lmkit.generation.search_plan import SearchPlan


class Writer(Protocol):
    """Writes what becomes of requests."""

    def write(self, event: TextDelta | Completion) -> None:
        """More of a text, or its end."""


class TextWriter:
    r"""Each text as it grows, ended as lines are.

    Where a text may have several lines and others follow, its line ends are written as `\n`, unless
    a line with `separator` is between texts.
    """

    def __init__(
        self,
        out: Output,
        model: LanguageModel,
        *,
        echo: bool = False,
        several: bool = False,
        separator: str | None = None,
    ) -> None:
        self._out, self._model, self._echo, self._separator = out, model, echo, separator
        self._whole = separator is not None or (model.form.multiline and not several)
        self._request: Request | None = None
        self._begun = False

    def write(self, event: TextDelta | Completion) -> None:
        """See `Writer.write`."""
        if event.request is not self._request:
            self._begin(event.request)
        if isinstance(event, TextDelta):
            self._grow(event.text)
        else:
            self._grow(event.text[self._written :])
            self._end()

    def _begin(self, request: Request) -> None:
        if self._begun and self._separator is not None:
            self._out.line(self._separator)
        self._request, self._begun = request, True
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._written, self._last = 0, ""
        self._prompt = request.label.prompt.text if self._echo else b""
        if self._prompt and request.source is not None:
            self._prompt += b"\t"
        self._put(self._prompt)

    def _grow(self, text: bytes) -> None:
        if not text:
            return
        if not self._written and self._joined(text):
            self._put(b" ")
        self._written += len(text)
        self._put(text)

    def _joined(self, text: bytes) -> bool:
        """Whether a blank separates the prompt from what follows it."""
        at_line_end = self._model.form.multiline and b"\n" in (self._prompt[-1:], text[:1])
        same_text = bool(self._prompt) and not self._prompt.endswith(b"\t")
        return same_text and bool(self._model.tokenizer.separator) and not at_line_end

    def _put(self, data: bytes, *, final: bool = False) -> None:
        shown = self._decoder.decode(data, final)
        if shown:
            self._last = shown[-1]
            self._out.answer((shown if self._whole else shown.replace("\n", "\\n")).encode())

    def _end(self) -> None:
        self._put(b"", final=True)
        if not (self._whole and self._last == "\n"):
            self._out.answer(b"\n")
        self._request = None


class JsonlWriter:
    """Each text as a record, when it is done; `sampled`: several for each prompt of a file are numbered."""

    def __init__(
        self, out: Output, model: LanguageModel, more: Callable[[Completion], Mapping[str, Any]], *,
        sampled: bool = False,
    ) -> None:  # fmt: skip
        self._out, self._model, self._sampled = out, model, sampled
        self._more = more
        """What the way in which texts are made adds to a record."""

    def write(self, event: TextDelta | Completion) -> None:
        """See `Writer.write`."""
        if isinstance(event, Completion):
            self._out.line(to_json(self._record(event)))

    def _record(self, done: Completion) -> dict[str, Any]:
        label = id_of(done)
        prompt = label.prompt
        record = {"id": label.id, **fields_of(done, self._model)}
        if self._sampled:
            record["sample"] = label.sample
        record |= self._more(done)
        return record | {name: value for name, value in prompt.record.items() if name not in record}


def fields_of(done: Completion, model: LanguageModel) -> dict[str, Any]:
    """What the record of any generated text says."""
    return {
        "prompt": id_of(done).prompt.text.decode(errors="replace"),
        "text": done.text.decode(errors="replace"),
        "tokens": len(done.ids),
        "nats": done.nats(model),
        "finish_reason": done.finish_reason,
    }


class StepTableWriter:
    """The tokens that were kept at each step of each text, a row each."""

    def __init__(self, out: Output, *, sampled: bool = False) -> None:
        columns = ("id", *(("sample",) if sampled else ()), "step", "token", "probability", "drawn")
        self._table = Table(out, columns, as_json=False)

    def write(self, event: TextDelta | Completion) -> None:
        """See `Writer.write`."""
        if not isinstance(event, Completion):
            return
        label = id_of(event)
        for step in trace_fields(event)["steps"]:
            for kept in step["kept"]:
                drawn = "yes" if kept["id"] == step["id"] else "no"
                place = {"id": label.id, "sample": label.sample, "step": step["step"]}
                self._table.row({**kept, **place, "drawn": drawn})


class SearchWriter:
    """Writes of a search itself before the first of the texts that it found for a prompt."""

    def __init__(
        self, run: Run, writer: Writer, plan: "SearchPlan", model: LanguageModel, out: Output, *, steps: bool
    ) -> None:
        self._run, self._writer, self._plan, self._model, self._out = run, writer, plan, model, out
        self._steps = steps

    def write(self, event: TextDelta | Completion) -> None:
        """See `Writer.write`; texts wait until they are done."""
        if not isinstance(event, Completion):
            return
        if id_of(event).sample == 0:
            from lmkit.generation.beam_search import Found

            if isinstance(event, Found) and event.greedy is not None:
                self._notice_greedy(event, event.greedy)
            if self._steps:
                shown = _kept if self._plan.contrastive is None else _weighed
                for number, step in enumerate(self._plan.steps(event, self._model), 1):
                    self._out.line("\t".join([str(number), *map(shown, step)]))
        self._writer.write(event)

    def _notice_greedy(self, done: "Found", greedy: "Found") -> None:
        """Warns that the greedy text is better than the beams."""
        unit = "a score of" if done.alpha else "nats"
        self._run.terminal.notice(
            f"greedy search finds a better text ({unit} {cell(greedy.score(self._model))}) than these beams "
            f"({cell(done.score(self._model))}); add it to the candidates with --keep-greedy"
        )


def _kept(item: Mapping[str, Any]) -> str:
    """A text that beams kept at a step, for people."""
    group = f"{item['group'] + 1}: " if "group" in item else ""
    reason = f" {item['finish_reason']}" if "finish_reason" in item else ""
    return f"{group}{cell(' '.join(item['tokens']))} {cell(item['nats'])}{reason}"


def _weighed(item: Mapping[str, Any]) -> str:
    """A token that contrastive search weighed at a step, for people."""
    return f"{cell(item['token'])} {cell(item['score'])} (p {cell(item['probability'])}, cos {cell(item['likeness'])})"


@dataclass(frozen=True)
class WriterBuilder:
    """Builds writers of texts; `number` of each prompt, of `files` or one prompt alone."""

    run: Run
    out: Output
    model: LanguageModel
    options: OutputOptions
    number: int
    files: bool

    def sampling(self, order: Sequence[str], report: ConstraintReport) -> Writer:
        """What writes texts that are drawn, or records, or a table of steps; `order` names their filters."""
        if self.options.explain and not self.options.json:
            self.run.terminal.notice(f"filters: {','.join(order) or 'none'}")
            return StepTableWriter(self.out, sampled=self.files and self.number > 1)
        return self._writer(lambda done: {"order": order, **report.fields(done), **trace_fields(done)})

    def searching(self, plan: "SearchPlan") -> Writer:
        """What writes texts that a search finds, or records, and what there is to say of the search."""
        writer = self._writer(lambda done: plan.fields(done, self.model))
        steps = self.options.explain and not self.options.json
        return SearchWriter(self.run, writer, plan, self.model, self.out, steps=steps)

    def _writer(self, more: Callable[[Completion], Mapping[str, Any]]) -> Writer:
        options, out, model = self.options, self.out, self.model
        if options.json:
            return JsonlWriter(out, model, more, sampled=self.files and self.number > 1)
        several = self.files or self.number > 1
        return TextWriter(out, model, echo=options.echo, several=several, separator=options.separator)
