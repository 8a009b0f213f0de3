"""How generated texts are told: as text that grows, or as records."""

from codecs import getincrementaldecoder
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from lmkit.commands.generation.requests import RequestId
from lmkit.generation.engine import Completion, Request, TextDelta
from lmkit.io.records import to_json
from lmkit.io.streams import Output


class Writer(Protocol):
    """Writes what becomes of requests."""

    def take(self, event: TextDelta | Completion) -> None:
        """More of a text, or its end."""


class TextWriter:
    r"""Each text as it grows, ended as lines are.

    Where a text may have several lines and others follow, its line ends are written as `\n`, unless
    a line with `separator` stands between texts.
    """

    def __init__(
        self, out: Output, model: Any, *, echo: bool = False, several: bool = False, separator: str | None = None
    ) -> None:
        self._out, self._model, self._echo, self._separator = out, model, echo, separator
        self._whole = separator is not None or (model.form.continuous and not several)
        self._request: Request | None = None
        self._begun = False

    def take(self, event: TextDelta | Completion) -> None:
        """See `Writer.take`."""
        if event.request is not self._request:
            self._begin(event.request)
        if isinstance(event, TextDelta):
            self._grow(event.text)
        else:
            self._grow(event.text[self._told :])
            self._end()

    def _begin(self, request: Request) -> None:
        if self._begun and self._separator is not None:
            self._out.line(self._separator)
        self._request, self._begun = request, True
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._told, self._last = 0, ""
        self._prompt = request.label.prompt.text if self._echo else b""
        self._write(self._prompt)

    def _grow(self, text: bytes) -> None:
        if not text:
            return
        if not self._told and self._joined(text):
            self._write(b" ")
        self._told += len(text)
        self._write(text)

    def _joined(self, text: bytes) -> bool:
        """Whether a blank stands between the prompt and what follows it."""
        at_line_end = self._model.form.continuous and b"\n" in (self._prompt[-1:], text[:1])
        return bool(self._prompt) and bool(self._model.tokenizer.separator) and not at_line_end

    def _write(self, data: bytes, *, final: bool = False) -> None:
        shown = self._decoder.decode(data, final)
        if shown:
            self._last = shown[-1]
            self._out.answer((shown if self._whole else shown.replace("\n", "\\n")).encode())

    def _end(self) -> None:
        self._write(b"", final=True)
        if not (self._whole and self._last == "\n"):
            self._out.answer(b"\n")
        self._request = None


class JsonlWriter:
    """Each text as a record, when it is done; `sampled`: several for each prompt of a file are numbered."""

    def __init__(
        self, out: Output, model: Any, more: Callable[[Completion], Mapping[str, Any]], *, sampled: bool = False
    ) -> None:
        self._out, self._model, self._sampled = out, model, sampled
        self._more = more
        """What the way in which texts are made adds to a record."""

    def take(self, event: TextDelta | Completion) -> None:
        """See `Writer.take`."""
        if isinstance(event, Completion):
            self._out.line(to_json(self._record(event)))

    def _record(self, done: Completion) -> dict[str, Any]:
        label: RequestId = done.request.label
        prompt = label.prompt
        record = {
            "id": label.id,
            "prompt": prompt.text.decode(errors="replace"),
            "text": done.text.decode(errors="replace"),
            "tokens": len(done.ids),
            "nats": done.nats(self._model),
            "finish_reason": done.finish_reason,
        }
        if self._sampled:
            record["sample"] = label.sample
        record |= self._more(done)
        return record | {name: value for name, value in prompt.record.items() if name not in record}
