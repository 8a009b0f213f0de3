"""The sums that a text works out, `a + b = c`, checked in exact rational arithmetic.

Nothing is evaluated but numbers, + - * / and brackets, by a small parser of its own. Units and other words between
numbers end a sum: `3 apples + 2 = 5` has none that can be checked.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from lmkit.using.metrics.extraction import normal_number

_LONGEST = 200  # tokens of a side: longer sums are left alone
_DIGITS = 100
_TOKEN = re.compile(
    r"(?P<number>\$?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?%?|\$?\.\d+%?)|(?P<sign>[-+*/()=\u2212\u00d7\u00f7\u00b7])"
    r"|(?P<times>(?<=[\d)\s])x(?=[\s\d($]))|(?P<blank>[ \t]+)|(?P<other>.)",
    re.DOTALL,
)
_SPELLED = {"\u2212": "-", "\u00d7": "*", "\u00b7": "*", "x": "*", "\u00f7": "/"}
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

    A result with decimals may be rounded to them: `10 / 3 = 3.33` is right.
    """
    for run in _runs(text):
        sides = _sides(run)
        for place, (left, right) in enumerate(pairwise(sides)):
            left = _last_sum(left) if place == 0 else left
            right = _first_sum(right) if place + 2 == len(sides) else right
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


def _joints(side: list[_Token]) -> list[int]:
    """Where a number or bracket stands right behind another: what is left of there is of another sentence."""
    return [
        place
        for place in range(1, len(side))
        if side[place - 1].kind in ("number", ")") and side[place].kind in ("number", "(")
    ]


def _last_sum(side: list[_Token]) -> list[_Token]:
    return side[(_joints(side) or [0])[-1] :]


def _first_sum(side: list[_Token]) -> list[_Token]:
    end = (_joints(side) or [len(side)])[0]
    while end and side[end - 1].kind not in ("number", ")"):  # a dash or bracket behind the result
        end -= 1
    return side[:end]


def _checked(text: str, left: list[_Token], right: list[_Token]) -> Iterator[Step]:
    """The step, if both sides are expressions."""
    if not left or not right or max(len(left), len(right)) > _LONGEST:
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
    if sum(token.kind == "number" for token in (*left, *right)) <= 2 or _goes_on(left):
        return  # one number that is said to be another; or an end of a sum with words in it
    shown = text[left[0].start : right[-1].end]
    try:
        value = _value(left)
    except ValueError:
        return
    except ZeroDivisionError:
        yield Step(shown, None, False)
        return
    yield Step(shown, value, abs(value - goal) <= _slack(right))


def _goes_on(side: list[_Token]) -> bool:
    """Whether a side begins with the sign of a sum, rather than with that of a number, which stands at it."""
    return len(side) > 1 and side[0].kind in "+-" and side[0].end < side[1].start


def _unclosed(side: list[_Token]) -> bool:
    return sum(token.kind == "(" for token in side) > sum(token.kind == ")" for token in side)


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
        raise ValueError("too long a number")
    value = Fraction(normal_number(text.rstrip("%")))
    return value / 100 if text.endswith("%") else value


def _value(side: list[_Token]) -> Fraction:
    """The value of an expression, by two stacks (Dijkstra's shunting yard).

    Raises ValueError where it is none, ZeroDivisionError where it divides by zero.
    """
    values: list[Fraction] = []
    waiting: list[str] = []
    operand = False  # whether what stands before is a value
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
