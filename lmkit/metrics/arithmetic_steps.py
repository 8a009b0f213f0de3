"""The sums that a text works out, `a + b = c`, checked in exact rational arithmetic.

Nothing is evaluated but numbers, + - * / and brackets, by a small parser of its own. What may be read in another way
is left alone, since a right text must not be called wrong: sums with units, other words or letters between or at
their numbers (`3 apples + 2 = 5`, `3x + 4 = 28`), numbers side by side (`1 1/2`, `350 000`, `27(1/3)`), quotients of
quotients without brackets (`5 / 1/2`), times and dates, and one number that is said to be another.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from lmkit.metrics.answer_extraction import normal_number

_LONGEST = 200  # tokens of a side: longer sums are left alone
_DIGITS = 100
_TOKEN = re.compile(
    r"(?P<number>\$?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?%?|\$?\.\d+%?)|(?P<sign>[-+*/()=\u2212\u2013\u00d7\u00f7\u00b7])"
    r"|(?P<times>(?<=[\d)])x(?=[\d($])|(?<=\s)x(?=[\s\d($]))|(?P<blank>[ \t]+)|(?P<other>.)",
    re.DOTALL,
)
_SPELLED = {"\u2212": "-", "\u2013": "-", "\u00d7": "*", "\u00b7": "*", "x": "*", "\u00f7": "/"}
_NEAR = 40  # characters looked at around a sum
_OPEN = re.compile(r"(?:\s|[<>\[\"\u201c=]|(?<!\d):)\Z")
_JOINED = re.compile(
    r"""(?:[+*/^%\u00d7\u00f7\u00b7\u2212\u2013\u2014-]|\d,|(?:\A|[\s+*/-])\.   # a sum's beginning, 14, 400, . 84
    |\d[^\W\d]+|(?:\d%?|\)|\b(?:half|thirds?|quarters?|fourths?|fifths?|percent|dozen))\s+of
    |\b(?:plus|minus|times|over|than|(?:divided|multiplied)\s+by)
    |\b(?:day|week|month|year|hour|night|step|grade|level|room|team|group|class|part|page|question|number)s?
    |(?<![\w'\u2019])(?![aAI]\b)\w)\s*\Z""",
    re.IGNORECASE | re.VERBOSE,
)
_AND = re.compile(r"[\d)]\s+and\s+\Z")
_FRACTION = re.compile(r"\d+/\d")
_COUNTED = re.compile(r"\d\s+\w+\s*\Z")  # 10 apples, before -3
_GOES_ON = re.compile(
    r"""[\w^!\u00b0]|[.:,]\d|[ \t]*[-+*/^(\u00d7\u00f7\u00b7\u2212\u2013]|\s+and\s+\(?\$?\d+/\d
    |\s+(?:full|whole|complete|remainder|rem|r|with\s+a\s+remainder|hundred|thousand|million|billion|dozen)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_CENTS = re.compile(r"\s*(?:cents?\b|\u00a2)", re.IGNORECASE)
_CODE = re.compile(r"\$?0\d")  # 0900, 007
_DATE = re.compile(r"\d{1,2}-\d{1,2}-[12]\d{3}|[12]\d{3}-\d{1,2}-\d{1,2}")
_RANK = {"+": 1, "-": 1, "*": 2, "/": 2, "negative": 3, "positive": 3, "(": 0}


@dataclass(frozen=True)
class Step:
    """A sum as it is written, and what its left side is; None where that divides by zero."""

    text: str
    value: Fraction | None
    right: bool


@dataclass(frozen=True)
class _Token:
    kind: str
    """`number`, or the sign itself."""
    text: str
    start: int
    end: int


def steps(text: str) -> Iterator[Step]:
    """The sums of a text. Of `a + b = c = d` each side is compared with the next.

    A result with decimals may be rounded to them: `10 / 3 = 3.33` is right. So is what is right where `%` is but
    a unit: `100 - 60 = 40%`.
    """
    for run in _runs(text):
        sides = _sides(run)
        last = len(sides) - 2
        for place, (left, right) in enumerate(pairwise(sides)):
            if not left or not right or (place == last and not _ends(text, right, dollars="$" in left[0].text)):
                continue
            if place == 0:
                item = _bullet(text, left)
                left = left[1:] if item else left
                if not _sums(left) or not (item or _begins(text, left[0])):
                    continue
            yield from _checked(text, left, right)


def _runs(text: str) -> Iterator[list[_Token]]:
    """Stretches of numbers and signs, which have nothing else between them."""
    run: list[_Token] = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        if kind == "other":
            if run:
                yield run
            run = []
        elif kind != "blank":
            name = "number" if kind == "number" else _SPELLED.get(match[0], match[0])
            run.append(_Token(name, match[0], match.start(), match.end()))
    if run:
        yield run


def _sides(run: list[_Token]) -> list[list[_Token]]:
    sides: list[list[_Token]] = [[]]
    for token in run:
        if token.kind == "=":
            sides.append([])
        else:
            sides[-1].append(token)
    return sides


def _bullet(text: str, side: list[_Token]) -> bool:
    """Whether a side begins with the mark of a list's item."""
    mark = side[0]
    line = text[text.rfind("\n", 0, mark.start) + 1 : mark.start]
    return mark.kind in "-*" and not line.strip() and text[mark.end : mark.end + 1].isspace()


def _sums(side: list[_Token]) -> bool:
    """Whether a side is more than a number, and begins with none of a sum's signs, rather than of a number's."""
    if not any(token.kind in "+-*/" for token in side[1:]):
        return False
    return side[0].kind in ("number", "(") or (side[0].kind == "-" and side[0].end == side[1].start)


def _begins(text: str, first: _Token) -> bool:
    """Whether nothing before a sum may belong to it."""
    before = text[max(0, first.start - _NEAR) : first.start]
    if before and not _OPEN.search(before):
        return False
    if _AND.search(before) and _FRACTION.match(text, first.start):
        return False
    return not _JOINED.search(before) and not (first.kind == "-" and _COUNTED.search(before))


def _ends(text: str, side: list[_Token], *, dollars: bool) -> bool:
    """Whether nothing behind a result may belong to it."""
    if side[-1].kind not in ("number", ")"):
        return False
    after = text[side[-1].end : side[-1].end + _NEAR]
    return _GOES_ON.match(after) is None and not (dollars and _CENTS.match(after))


def _doubtful(side: list[_Token]) -> bool:
    """Whether a side may be read in more than one way."""
    return any(
        (token.kind == "number" and _CODE.match(token.text)) or _unclear(side[place : place + 5])
        for place, token in enumerate(side)
    )


def _unclear(tokens: list[_Token]) -> bool:
    """Whether up to five tokens begin with what may be read in more than one way."""
    kinds = [token.kind for token in tokens]
    if len(tokens) > 1 and kinds[0] in ("number", ")") and kinds[1] in ("number", "("):
        return True  # values side by side
    if len(tokens) > 2 and kinds[0] in "+-*/" and kinds[1] in "+-" and tokens[1].end < tokens[2].start:
        return True  # a sign without a number
    if kinds[:4] == ["number", "/", "number", "/"]:
        return True
    written = "".join(token.text for token in tokens)
    close = tokens[-1].end - tokens[0].start == len(written)
    return kinds == ["number", "-", "number", "-", "number"] and close and _DATE.fullmatch(written) is not None


def _checked(text: str, left: list[_Token], right: list[_Token]) -> Iterator[Step]:
    """The step, if both sides are expressions."""
    if max(len(left), len(right)) > _LONGEST or _doubtful(left) or _doubtful(right):
        return
    try:
        goal = _value(right)
    except ZeroDivisionError:
        return
    except ValueError:
        while len(right) > 1 and right[-1].kind == ")":  # of a bracket around the whole: (3 + 4 = 7)
            right = right[:-1]
        try:
            goal = _value(right)
        except (ValueError, ZeroDivisionError):
            return
    while left and left[0].kind == "(" and _unclosed(left):
        left = left[1:]
    if sum(token.kind == "number" for token in (*left, *right)) <= 2:
        return  # one number that is said to be another
    shown = text[left[0].start : right[-1].end]
    try:
        value = _value(left)
    except ValueError:
        return
    except ZeroDivisionError:
        yield Step(shown, None, False)
        return
    close = abs(value - goal) <= _slack(right)
    yield Step(shown, value, close or (_has_percents(left, right) and _close_without(left, right)))


def _unclosed(side: list[_Token]) -> bool:
    return sum(token.kind == "(" for token in side) > sum(token.kind == ")" for token in side)


def _has_percents(*sides: list[_Token]) -> bool:
    return any(token.text.endswith("%") for side in sides for token in side)


def _close_without(left: list[_Token], right: list[_Token]) -> bool:
    """Whether both sides are the same where `%` says nothing."""
    plain = [[replace(token, text=token.text.rstrip("%")) for token in side] for side in (left, right)]
    return abs(_value(plain[0]) - _value(plain[1])) <= _slack(plain[1])


def _slack(side: list[_Token]) -> Fraction:
    """How far off a result may be: half of its last decimal, if it is one number that has decimals."""
    number = side[-1].text.rstrip("%")
    if len(side) > 2 or (len(side) == 2 and side[0].kind != "-") or "." not in number:
        return Fraction(0)
    unit = Fraction(1, 10 ** len(number.partition(".")[2]))
    return unit / 2 / (100 if side[-1].text.endswith("%") else 1)


def _number(text: str) -> Fraction:
    """A number token; 50% is a half. Raises ValueError where it has too many digits to work with."""
    if len(text) > _DIGITS:
        raise ValueError("number too long")
    value = Fraction(normal_number(text.rstrip("%")))
    return value / 100 if text.endswith("%") else value


def _value(side: list[_Token]) -> Fraction:
    """The value of an expression, by two stacks (Dijkstra's shunting yard).

    Raises ValueError for anything else, ZeroDivisionError where it divides by zero.
    """
    values: list[Fraction] = []
    waiting: list[str] = []
    operand = False  # whether a value precedes
    for token in side:
        kind = token.kind
        if kind == "number" or kind == "(":
            if operand:
                raise ValueError("two values side by side")
            if kind == "number":
                values.append(_number(token.text))
                operand = True
            else:
                waiting.append(kind)
        elif kind == ")":
            if not operand:
                raise ValueError("an empty bracket")
            while waiting and waiting[-1] != "(":
                _apply(values, waiting.pop())
            if not waiting:
                raise ValueError("a bracket that was not opened")
            waiting.pop()
        elif not operand:
            if kind not in "+-":
                raise ValueError("a sign without a value before it")
            waiting.append("negative" if kind == "-" else "positive")
        else:
            while waiting and _RANK[waiting[-1]] >= _RANK[kind]:
                _apply(values, waiting.pop())
            waiting.append(kind)
            operand = False
    if not operand:
        raise ValueError("no value at the end")
    while waiting:
        if waiting[-1] == "(":
            raise ValueError("a bracket that is not closed")
        _apply(values, waiting.pop())
    return values[0]


def _apply(values: list[Fraction], sign: str) -> None:
    if sign == "positive":
        return
    if sign == "negative":
        values[-1] = -values[-1]
        return
    right, left = values.pop(), values.pop()
    match sign:
        case "+":
            values.append(left + right)
        case "-":
            values.append(left - right)
        case "*":
            values.append(left * right)
        case _:
            values.append(left / right)
