"""Jinja2 templates that may come from anywhere: they see plain data, change nothing, and run within limits.

Jinja's immutable sandbox guards attributes that lead out of the data, and changes of it; files, other templates, random
choices and today's date are not there. Time and memory are not counted here: `LimitedTemplate` renders where
`lmkit.isolation` says, for commands in a process that is ended beyond its limits. A text has at most LIMIT characters.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from functools import cache
from importlib.util import find_spec
from typing import Any

from lmkit import isolation
from lmkit.errors import DataError, MissingError

LIMIT = 1 << 20  # characters of a text
SHOWN = 200  # characters of a template's own words in a message
_NAME = "<template>"
_REMOVED = ("random",)
_OTHERS = ("include", "import", "extends")


class TemplateError(DataError):
    """What is wrong with a template, or with what it makes of the data."""


class Template:
    """A template, compiled. Raises TemplateError with the line of a syntax error."""

    def __init__(self, source: str, *, chat: bool = False) -> None:
        self._environment = environment(chat)
        with _told(source):
            tree = self._environment.parse(source, filename=_NAME)
            self._refuse_others(tree)
            code = self._environment.compile(tree, filename=_NAME)
        shared = self._environment.make_globals(None)
        self._template = self._environment.template_class.from_code(self._environment, code, shared)
        self._source = source

    def render(self, values: Mapping[str, Any]) -> str:
        """The text rendered from plain data. Raises TemplateError."""
        parts, size = [], 0
        with _told(self._source):
            for part in self._template.generate(values):
                size += len(part)
                if size > LIMIT:
                    raise TemplateError(f"the text has more than {LIMIT} characters")
                parts.append(part)
        return "".join(parts)

    def _refuse_others(self, tree: Any) -> None:
        from jinja2 import nodes

        for node in tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
            raise TemplateError(f"line {node.lineno}: the template must not use {', '.join(_OTHERS)}")
        for node in tree.find_all(nodes.NSRef):
            if node.attr.startswith("_"):
                raise TemplateError(f"line {node.lineno}: the name {node.attr!r} is not allowed in a template")


def _errors() -> Any:
    from jinja2 import exceptions

    return exceptions


@contextmanager
def _told(source: str) -> Iterator[None]:
    """Whatever goes wrong in a template as a TemplateError with its line."""
    try:
        yield
    except (DataError, MemoryError):
        raise
    except (Exception, RecursionError) as error:
        line = error.lineno if isinstance(error, _errors().TemplateSyntaxError) else _line_of(error)
        words = " ".join(str(getattr(error, "msg", error)).split()) or type(error).__name__
        if isinstance(error, RecursionError):
            words = "nested too deeply, or a macro that calls itself without an end"
        shown = words if len(words) <= SHOWN else f"{words[:SHOWN]}..."
        where = f"line {min(line, source.count(chr(10)) + 1)}: " if line else ""
        raise TemplateError(f"{where}{shown}") from None


def _line_of(error: BaseException) -> int | None:
    """The line of the template that an error came from: of its frames the last."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _NAME:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


@cache
def environment(chat: bool) -> Any:
    """Where templates live; for `chat` as transformers has it. Raises MissingError without Jinja2."""
    _check_installed()
    from jinja2 import StrictUndefined, Undefined
    from jinja2.ext import Extension, loopcontrols
    from jinja2.nodes import Scope
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """The tag around what an assistant says, which transformers uses in training; here its body."""

        tags: set[str] = {"generation"}  # noqa: RUF012  # the library says that each has its own

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            return Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True)).set_lineno(line)

    made = ImmutableSandboxedEnvironment(
        undefined=Undefined if chat else StrictUndefined, trim_blocks=chat, lstrip_blocks=chat,
        keep_trailing_newline=not chat, extensions=[loopcontrols, *([Generation] if chat else [])],
    )  # fmt: skip
    for name in _REMOVED:
        del made.filters[name]
    made.filters["tojson"] = _tojson
    made.globals = {
        "range": made.globals["range"], "dict": _dict, "namespace": _namespace, "cycler": made.globals["cycler"],
        "joiner": made.globals["joiner"], "raise_exception": _raise,
    }  # fmt: skip
    return made


def _raise(message: object) -> None:
    """What templates of transformers call where a conversation is not as they want it."""
    raise _errors().TemplateRuntimeError(str(message))


def _dict(*args: Any, **kwargs: Any) -> dict[Any, Any]:
    return dict(*args, **kwargs)


def _namespace(*args: Any, **kwargs: Any) -> Any:
    from jinja2.utils import Namespace

    values = dict(*args, **kwargs)
    if any(str(name).startswith("_") for name in values):
        raise _errors().SecurityError("names in a namespace must begin with a letter")
    return Namespace(values)


def _tojson(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    """JSON as transformers' templates have it, which unlike Jinja's escapes nothing for HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


# Templates within limits.


def serve(settings: isolation.Settings) -> isolation.Handler:
    """Return what renders the `source` with values given as JSON. `date`: what strftime_now takes for today."""
    template = Template(settings["source"], chat=settings["chat"])
    today = settings["date"]
    more = {} if today is None else {"strftime_now": date.fromisoformat(today).strftime}

    def render(values: bytes) -> bytes:
        return template.render({**json.loads(values), **more}).encode("utf-8", "surrogatepass")

    return render


class LimitedTemplate:
    """A template that is compiled and rendered where `lmkit.isolation` says, by the `name` that messages have for it.

    Raises TemplateError or LimitError where it can't be compiled, MissingError without Jinja2.
    """

    def __init__(self, source: str, *, name: str, chat: bool = False, today: date | None = None) -> None:
        _check_installed()
        self._name = name
        settings = {"source": source, "chat": chat, "date": None if today is None else today.isoformat()}
        self._worker = isolation.worker(serve, settings, imports=("jinja2.sandbox", "jinja2.ext"))

    def render(self, values: Mapping[str, Any]) -> str:
        """Return the text of plain data. Raises TemplateError and LimitError."""
        return next(self.render_each([values]))

    def render_each(self, records: Iterable[Mapping[str, Any]]) -> Iterator[str]:
        """Yield the text of each of several records; those before one that fails come before its error."""
        requests = [json.dumps(values).encode() for values in records]
        try:
            for text in self._worker.ask_each(requests):
                yield text.decode("utf-8", "surrogatepass")
        except isolation.LimitError as error:
            raise isolation.LimitError(f"{self._name}: {error}") from None
        except DataError as error:  # a worker that is a process has no class of ours
            raise TemplateError(f"{self._name}: {error}") from None


def _check_installed() -> None:
    """Raise MissingError without Jinja2."""
    if find_spec("jinja2") is None:
        raise MissingError("this template needs Jinja2", package="jinja2")
