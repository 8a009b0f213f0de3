"""Records as lines: JSON, cells and TSV; what a terminal shows of them is in test_tables and in process/."""

import io
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.io.outputs import Output
from lmkit.io.records import Table, cell, to_json


@given(
    st.dictionaries(
        st.text(max_size=5), st.none() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5), max_size=4
    )
)
def test_json_is_one_line_in_full_precision(record):
    text = to_json(record)
    assert "\n" not in text
    assert json.loads(text) == record


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.5, "1.5"), (1 / 3, "0.333333"), (1e-9, "1e-09"), (math.inf, "inf"), (-math.inf, "-inf"), (12, "12"),
     (10**30, str(10**30)), (None, ""), ("", ""),
     ("a\tb\nc\rd\\e", "a\\tb\\nc\\rd\\\\e"), (True, "True"), ("é\u2028", "é\u2028")],
)  # fmt: skip
def test_cells(value, text):
    assert cell(value) == text


def test_tables_of_records():
    for as_json, expected in ((False, b"a\tb\n1\t\nx\\ty\t2\n"), (True, b'{"a": 1, "c": 3}\n{"a": "x\\ty", "b": 2}\n')):
        stream = io.BytesIO()
        rows = Table(Output(stream, live=False), ["a", "b"], as_json=as_json)
        rows.row({"a": 1, "c": 3})
        rows.row({"a": "x\ty", "b": 2})
        assert stream.getvalue() == expected
