"""Numbers written in decimal: many at once are what each is alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.word_vectors.float_parsing import parse


def spans(fields):
    """The fields with spaces between, and where each begins and ends."""
    ends = np.cumsum([len(field) + 1 for field in fields], dtype=np.int64) - 1
    return b" ".join(fields), ends - [len(field) for field in fields], ends


def bits(numbers):
    return np.array(numbers, dtype=np.float32).tobytes()


digits = st.text("0123456789", max_size=18)
plain = st.builds(
    lambda sign, whole, dot, part: f"{sign}{whole}{dot}{part if dot else ''}",
    st.sampled_from(["", "-", "+"]), digits, st.sampled_from(["", "."]), digits,
).filter(lambda text: any(map(str.isdigit, text)))  # fmt: skip
written = st.floats(width=32, allow_nan=False).map(repr) | st.floats(-10, 10).map(lambda value: f"{value:.6f}")


@given(st.lists(plain | written, min_size=1, max_size=20))
def test_many_are_what_each_is_alone(fields):
    found = parse(*spans([field.encode() for field in fields]))
    assert found is not None
    assert found.tobytes() == bits([float(field) for field in fields])


def test_digits_at_every_place():
    fields = [f"{sign}{'9' * before}{'.' * dot}{'81' * after}" for sign in ("", "-") for dot in (0, 1)
              for before in range(12) for after in range(9) if before + after]  # fmt: skip
    found = parse(*spans([field.encode() for field in fields]))
    assert found is not None
    assert found.tobytes() == bits([float(field) for field in fields])


@pytest.mark.parametrize(
    "wrong",
    [
        b"", b"-", b".", b"-.", b"1.2.3", b"1..2", b"--1", b"1-2", b"1e", b"x", b"1,5", b"1\t2", b"\t1", b"1_0", b"0x1",
        b"12345678.1234567.", b"/", b":", b"1\x002",
    ],
)  # fmt: skip
def test_what_is_no_number(wrong):
    for fields in [wrong], [b"1.5", wrong, b"2"]:
        assert parse(*spans(fields)) is None
