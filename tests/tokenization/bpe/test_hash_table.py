"""The hash table, against a dictionary."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmkit.tokenization.bpe.hash_table import MISSING, Table
from lmkit.tokenization.words import hash_stretches

few = st.integers(0, 40).map(lambda key: key << 58)  # all of them start at a few places
keys = st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 40), few)


def array(numbers):
    return np.array(numbers, dtype=np.uint64)


@settings(max_examples=100)
@given(st.lists(st.lists(keys, max_size=60), max_size=5), st.booleans(), st.sampled_from([16, 1 << 12]))
@example([[2**64 - 1, 2**64 - 2], [2**64 - 3]], True, 16)
def test_answers_as_a_dictionary_does(batches, mixed, capacity):
    table, known = Table(mixed=mixed, capacity=capacity), {}
    for batch in batches:
        fresh = [key for key in dict.fromkeys(batch) if key not in known and not (key in (0, 1) and {0, 1} & {*known})]
        fresh = [key for key in fresh if key != 0 or 1 not in fresh]
        numbers = np.arange(len(known), len(known) + len(fresh), dtype=np.int32)
        table.add(array(fresh), numbers)
        known.update(zip(fresh, numbers.tolist(), strict=True))
        assert len(table) == len(known)
        asked = [key for batch in batches for key in batch if key > 1 or not {0, 1} & {*known}] + list(known)
        assert table.find(array(asked)).tolist() == [known.get(key, MISSING) for key in asked]


@pytest.mark.parametrize("mixed", [True, False])
def test_a_key_of_zero_is_as_good_as_any(mixed):
    table = Table(mixed=mixed)
    assert table.find(array([0])).tolist() == [MISSING]
    table.add(array([0, 5]), np.array([7, 8], dtype=np.int32))
    assert table.find(array([5, 0, 4])).tolist() == [8, 7, MISSING]


def test_many_keys():
    table = Table(mixed=False)
    for begin in range(0, 50_000, 10_000):
        table.add(array(range(begin, begin + 10_000)) + np.uint64(2), np.arange(begin, begin + 10_000, dtype=np.int32))
    assert table.find(array([2, 50_001, 50_002, 12_347])).tolist() == [0, 49_999, MISSING, 12_345]
    assert len(table) == 50_000


def test_nothing_is_asked_or_added():
    table = Table(mixed=True)
    table.add(array([]), np.zeros(0, dtype=np.int32))
    assert table.find(array([])).tolist() == []
    assert len(table) == 0


@settings(max_examples=100)
@given(st.lists(st.one_of(st.binary(max_size=20), st.text("\0\1a", max_size=80).map(str.encode)), max_size=20))
@example([b"", b"\0", b"\0\0", b"\1", b"\2", b"a", b"a\0", b"a" * 8, b"a" * 8 + b"\0", b"a" * 80, b"a" * 80 + b"\0"])
def test_keys_tell_stretches_apart(stretches):
    ends = np.cumsum([len(stretch) for stretch in stretches]).astype(np.int64)
    starts = ends - np.array([len(stretch) for stretch in stretches], dtype=np.int64)
    keys = hash_stretches(b"".join(stretches), starts, ends).tolist()
    assert len(set(keys)) == len(set(stretches)) == len(set(zip(keys, stretches, strict=True)))
