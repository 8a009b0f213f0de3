"""Tests of: constraint_report.py. Whether texts are JSON or CSV, and the report of those that are not as asked for."""

import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkit.errors import UnmetError
from lmkit.generation.constraint_report import ConstraintReport, is_format
from lmkit.generation.engine import Completion, Request

VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=8,
)


@settings(max_examples=50)
@given(VALUES)
def test_what_is_written_as_json_is_json(value):
    text = json.dumps(value).encode()
    assert is_format("json", text)
    assert not is_format("json", text + b"]")


@pytest.mark.parametrize(
    ("text", "valid"),
    [(b"1" * 9999, True), (b" [1, 2]\n", True), (b"", False), (b"[1,]", False), (b"NaN", False), (b"[Infinity]", False),
     (b'{"a": 1', False), (b"\xff", False), (b"{'a': 1}", False), (b"[" * 99999, False), (b"1 2", False)],
)  # fmt: skip
def test_json(text, valid):
    assert is_format("json", text) == valid


@given(st.integers(1, 4).flatmap(lambda width: st.lists(
    st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
             min_size=width, max_size=width), min_size=1, max_size=4)
))  # fmt: skip
def test_what_is_written_as_csv_is_csv(rows):
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows(rows)
    assert is_format("csv", out.getvalue().encode())
    csv.writer(out).writerow([*rows[0], "one", "more"])
    assert not is_format("csv", out.getvalue().encode())


@pytest.mark.parametrize(
    ("text", "valid"),
    [(b"a,b\n1,2\n", True), (b"a,b\n1,2", True), (b"a", True), (b"a,b\n1\n", False), (b"", False), (b"a\n\nb\n", False),
     (b'a,"b\n', False), (b'a,"b"c\n', False), (b'"a,b","c\nd"\n1,2\n', True), (b"a,\xff\n", False),
     (b"a\0b\n", False), (b"x" * 200000 + b",y\n", True)],
)  # fmt: skip
def test_csv(text, valid):
    assert is_format("csv", text) == valid


def test_texts_of_another_form_are_reported_together():
    report = ConstraintReport(None, form="json")
    for name, text in enumerate([b"[1]", b"{", b"x", *[b"no"] * 12]):
        report.add(Completion(Request(0, None, lambda: None), [], text, "eos", [], ()), name)
    with pytest.raises(UnmetError, match=r"^14 of 15 texts are not valid JSON: id 1, .*, 10 and 4 more$"):
        report.close()


def test_texts_that_are_held_to_nothing_are_not_reported():
    report = ConstraintReport(None)
    done = Completion(Request(0, None, lambda: None), [], b"x", "length", [], ())
    report.add(done, 1)
    report.close()
    assert (report.constraint(), report.fields(done)) == (None, {})
