"""Jinja2 templates that may come from anywhere: they see plain data, change nothing, and soon come to an end.

Guarded: attributes that lead out of the data, changes of it, files and other templates; rounds of loops and
calls of macros (ROUNDS), the text (LIMIT), what operators, calls and filters make (LIMIT) and how much they are given
in all (WORK); random choices and today's date, which would make other text of the same data. A template that goes
to all these limits takes some seconds, or with filters such as `sort` a minute, and some hundred megabytes.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from functools import cache, wraps
from typing import Any

from lmkit.errors import DataError, MissingError

LIMIT = 1 << 20  # characters of a text and of what goes into it; bits of a number; members of a list
ROUNDS = 1 << 17  # rounds of all loops and calls of macros in one text
WORK = 1 << 27  # sizes of all that operators, calls and filters are given in one text
SHOWN = 200  # characters of a template's own words in a message
_NAME = "<template>"
_REMOVED = ("random",)
_OTHERS = ("include", "import", "extends")


class TemplateError(DataError):
    """What is wrong with a template, or with what it makes of the data."""


class Template:
    """A template, compiled. Raises TemplateError where it is none, with its line."""

    def __init__(self, source: str, *, chat: bool = False) -> None:
        self._environment = environment(chat)
        with _told(source):
            tree = self._environment.parse(source, filename=_NAME)
            self._refuse_others(tree)
            _guard_loops(tree)
            code = self._environment.compile(tree, filename=_NAME)
        shared = self._environment.make_globals(None)
        self._template = self._environment.template_class.from_code(self._environment, code, shared)
        self._source = source

    def render(self, values: Mapping[str, Any]) -> str:
        """The text that comes of plain data. Raises TemplateError."""
        self._environment.meter.begin()
        parts, size = [], 0
        with _told(self._source):
            for part in self._template.generate(values):
                size += len(part)
                _bounded(size)
                parts.append(part)
        return "".join(parts)

    def _refuse_others(self, tree: Any) -> None:
        from jinja2 import nodes

        for node in tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
            raise TemplateError(f"line {node.lineno}: a template here stands alone, without {', '.join(_OTHERS)}")
        for node in tree.find_all(nodes.NSRef):
            if node.attr.startswith("_"):
                raise TemplateError(f"line {node.lineno}: {node.attr!r} is no name for a template")


def _errors() -> Any:
    from jinja2 import exceptions

    return exceptions


@contextmanager
def _told(source: str) -> Iterator[None]:
    """Whatever goes wrong in a template as a TemplateError with its line."""
    try:
        yield
    except DataError:
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


def _guard_loops(tree: Any) -> None:
    """Has each round of a loop and each call of a macro counted, and texts joined by what is checked."""
    from jinja2 import nodes

    for node in list(tree.find_all((nodes.For, nodes.Macro, nodes.CallBlock))):
        node.body.insert(0, nodes.ExprStmt(nodes.EnvironmentAttribute("meter.next_round")).set_lineno(node.lineno))
    for node in list(tree.find_all(nodes.Node)):
        for name, value in node.iter_fields():
            if isinstance(value, nodes.Concat):
                setattr(node, name, _joined(value))
            elif isinstance(value, list):
                value[:] = [_joined(one) if isinstance(one, nodes.Concat) else one for one in value]


def _joined(concat: Any) -> Any:
    """`a ~ b` as the filter `join` of a list, which is checked as others are."""
    from jinja2 import nodes

    parts = [_joined(one) if isinstance(one, nodes.Concat) else one for one in concat.nodes]
    return nodes.Filter(nodes.List(parts), "join", [], [], None, None).set_lineno(concat.lineno)


@cache
def environment(chat: bool) -> Any:
    """Where templates live; for `chat` as transformers has it. Raises MissingError without Jinja2."""
    try:
        from jinja2 import StrictUndefined, Undefined
        from jinja2.ext import Extension, loopcontrols
        from jinja2.nodes import Scope
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError:
        raise MissingError("this template needs Jinja2", hint="pip install 'lmkit-cli[prompt]'") from None

    class Generation(Extension):
        """The tag around what an assistant says, which transformers uses in training; here its body."""

        tags: set[str] = {"generation"}  # noqa: RUF012  # the library says that each has its own

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            return Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True)).set_lineno(line)

    class Environment(ImmutableSandboxedEnvironment):
        """The sandbox, with sizes checked before anything is made."""

        intercepted_binops = frozenset(["+", "*", "**", "%"])
        meter: Meter

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            self.meter.take(left, right)
            _check_operator(operator, left, right)
            return super().call_binop(context, operator, left, right)

        def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
            _check_making(__self.meter, *_named(__obj, args), kwargs)
            return super().call(__context, __obj, *args, **kwargs)

    made = Environment(
        undefined=Undefined if chat else StrictUndefined, trim_blocks=chat, lstrip_blocks=chat,
        keep_trailing_newline=not chat, extensions=[loopcontrols, *([Generation] if chat else [])], finalize=_shown,
    )  # fmt: skip
    made.meter = meter = Meter()
    made.filters = {name: _checked(each, meter) for name, each in made.filters.items() if name not in _REMOVED}
    made.filters["tojson"] = _checked(_tojson, meter)
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
        raise _errors().SecurityError("names in a namespace begin with a letter")
    return Namespace(values)


def _tojson(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    """JSON as transformers' templates have it, which unlike Jinja's escapes nothing for HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


# Sizes, before anything of such a size is made.

_WIDTHS = (
    "center", "ljust", "rjust", "zfill", "expandtabs", "indent", "wordwrap", "truncate", "batch", "slice", "round",
    "tojson", "to_bytes",
)  # fmt: skip
"""Functions that make as much as a number says."""
_QUICK = ("len", "first", "last", "default")  # filters that take no time, whatever they are given


class Meter:
    """What a template has done while it makes one text."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Another text begins."""
        self._rounds = self._work = 0

    @property
    def next_round(self) -> None:
        """What loops look at in each round; a property, since calls cost more. Raises SecurityError after ROUNDS."""
        self._rounds += 1
        if self._rounds > ROUNDS:
            raise _errors().SecurityError(f"more than {ROUNDS} rounds of loops")

    def take(self, *values: Any) -> None:
        """Counts what something is given. Raises SecurityError beyond LIMIT, and beyond WORK in all."""
        size = _size(*values)
        _bounded(size)
        self._work += size
        if self._work > WORK:
            raise _errors().SecurityError(f"more than {WORK} characters in all are worked on")


def _bounded(size: int) -> None:
    if size > LIMIT:
        raise _errors().SecurityError(f"more than {LIMIT} characters, or as much of something else")


def _size(*values: Any) -> int:
    """How large values are, or that they are too large: characters, in lists too, bits of numbers, members."""
    size, left = 0, [*values]
    while left and size <= LIMIT:
        value = left.pop()
        if isinstance(value, str | bytes):
            size += len(value)
        elif isinstance(value, int):
            size += value.bit_length()
        elif isinstance(value, Mapping):
            size += len(value)
            left += value.values()
        elif isinstance(value, list | tuple):
            size += len(value)
            left += value
    return size


def _shown(value: Any) -> Any:
    """A value that is about to become text."""
    if not isinstance(value, str):
        _bounded(_size(value))
    return value


def _check_operator(operator: str, left: Any, right: Any) -> None:
    if operator == "+":
        _bounded(_size(left, right))
    elif operator == "**" and isinstance(right, int):
        _bounded(_size(left) * abs(right))
    elif operator == "*" and not (isinstance(left, int | float) and isinstance(right, int | float)):
        sized, times = (right, left) if isinstance(left, int) else (left, right)
        _bounded(_size(sized) * (times if isinstance(times, int) else 1))
    elif operator == "%" and isinstance(left, str):
        _check_format(left, "%", [right])


def _check_format(text: str, mark: str, values: Sequence[Any]) -> None:
    """Checks a text with places for values, each of any width that is written in it, or that is a value."""
    written = sum(int(digits[:9]) for digits in re.findall(r"\d+", text))
    several = [one for value in values for one in (value if isinstance(value, tuple) else (value,))]
    widths = sum(abs(one) for one in several if isinstance(one, int))
    _bounded(len(text) + written + text.count(mark) * (_size(*values) + widths))


def _named(function: Any, args: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """What is called by its name, and what it is given; to a text's own method also the text."""
    own = getattr(getattr(function, "__wrapped__", function), "__self__", None)
    return getattr(function, "__name__", ""), (own, *args) if isinstance(own, str | int) else args


def _checked(filter_: Callable[..., Any], meter: Meter) -> Callable[..., Any]:
    """A filter that checks what it is given; marks of how it is to be called stay on it."""
    if filter_.__name__.removeprefix("do_") in _QUICK:
        return filter_
    name = filter_.__name__.removeprefix("do_").removeprefix("_")
    first = 1 if hasattr(filter_, "jinja_pass_arg") else 0

    @wraps(filter_)
    def checked(*args: Any, **kwargs: Any) -> Any:
        args = tuple(list(one) if name == "join" and isinstance(one, Iterator) else one for one in args)
        _check_making(meter, name, args[first:], kwargs)
        return filter_(*args, **kwargs)

    return checked


def _check_making(meter: Meter, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Raises SecurityError where a function would be given, or would make, more than LIMIT."""
    values = [*args, *kwargs.values()]
    meter.take(*values)
    if name in _WIDTHS:
        _bounded(max((abs(one) for one in values if isinstance(one, int)), default=0))
    if name == "replace" and len(values) >= 3 and all(isinstance(one, str) for one in values[:3]):
        text, old, new = values[:3]
        _bounded(len(text) + text.count(old) * len(new))
    elif name == "join" and len(values) >= 2:
        listed, sep = sorted(values[:2], key=lambda one: isinstance(one, str))
        _bounded(_size(listed) + _size(sep) * (len(listed) if isinstance(listed, Sized) else 1))
    elif name == "translate" and len(values) >= 2:
        _bounded(_size(values[0]) * _size(*values[1:]))
    elif name in ("format", "format_map") and values and isinstance(values[0], str):
        _check_format(values[0], "{", values[1:])
        _check_format(values[0], "%", values[1:])
