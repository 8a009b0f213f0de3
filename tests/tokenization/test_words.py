"""Words of a block, and their hashes, against plain Python."""

import hashlib
import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmkit.data.parallel_map import in_order
from lmkit.tokenization.words import LONG, Words, distinct, find, hash_long, hash_words

quick = settings(deadline=None, max_examples=60)

pieces = st.sampled_from(
    [b" ", b"\t", b"\r", b"\0", b"\n", b"\r\n", b"\x0b", b"\x0c", b"\x85", b"\xa0", "\u00a0\u2003\u2028".encode(), b"a",
     b"bc", b"12345678", b"123456789", b"x" * 63, b"x" * 64, b"x" * 65, "ñandú".encode()]
)  # fmt: skip
blocks = (st.binary(max_size=80) | st.lists(pieces | st.binary(max_size=12), max_size=30).map(b"".join)).map(
    lambda block: block + b"\n"
)


def words_of(line):
    return [word for word in re.split(b"[ \t\r\0]", line) if word]


def spans(words):
    return list(zip(words.starts.tolist(), words.ends.tolist(), strict=True))


def mix(x):
    y = x * 0x9E3779B97F4A7C15 % 2**64
    return y ^ (y >> 32)


def hash_of(word):
    """As the documentation of `hash_words` says."""
    if len(word) > 64:
        return int.from_bytes(hashlib.blake2b(word, digest_size=8).digest(), "little")
    h = mix(int.from_bytes(word[:8], "little"))
    for place in range(8, len(word), 8):
        h = mix(h ^ int.from_bytes(word[place : place + 8], "little"))
    return h


def laid_out(words):
    """Words one after another, without anything between."""
    ends = np.cumsum([len(word) for word in words]).astype(np.int64)
    return b"".join(words), np.concatenate(([0], ends[:-1])).astype(np.int64) if len(words) else ends, ends


@quick
@given(blocks)
@example(b"\n")
@example(b" \n\n\t\n")
@example(b"a\n b\rc\0d\te \n\nf\n")
def test_words_and_lines(block):
    words = find(block)
    lines = block.split(b"\n")[:-1]
    assert [block[a:b] for a, b in spans(words)] == [word for line in lines for word in words_of(line)]
    assert words.line_ends.tolist() == np.cumsum([len(words_of(line)) for line in lines]).tolist()


def test_nothing_has_no_words():
    words = find(b"")
    assert [len(part) for part in words] == [0, 0, 0]


@quick
@given(st.lists(st.binary(min_size=1, max_size=140) | st.integers(1, 140).map(lambda size: b"ab" * size), max_size=12))
@example([bytes(range(1, size + 1)) for size in (1, 7, 8, 9, 15, 16, 17, 63, 64, 65, 128)])
@example([b"\xff" * size for size in (1, 8, 9, 64, 65)])
def test_hashes_are_what_the_documentation_says(words):
    block, starts, ends = laid_out(words)
    assert hash_words(block, starts, ends).tolist() == [hash_of(word) for word in words]


@pytest.mark.parametrize("around", [b"", b"\xff" * 20, b"\0" * 9])
def test_hashes_do_not_depend_on_what_stands_around(around):
    for word in (b"a", b"12345678", b"123456789", b"y" * 64, b"z" * 65):
        block = around + word + around
        found = hash_words(block, np.array([len(around)]), np.array([len(around) + len(word)]))
        assert found.tolist() == [hash_of(word)]


def test_long_words_have_the_hash_of_blake():
    assert LONG == 64
    assert hash_long(b"q" * 65) == hash_of(b"q" * 65)


def test_words_of_up_to_eight_bytes_do_not_collide():
    short = [bytes([a, b])[: 1 + (b > 0)] for a in range(1, 256) for b in range(256)]
    short += [b"word%04d" % number for number in range(10000)]
    assert len(set(short)) == len(short)
    assert len(set(hash_words(*laid_out(short)).tolist())) == len(short)


@quick
@given(st.lists(st.sampled_from([b"a", b"b", b"abcdefgh", b"abcdefghi", b"y" * 70, b"\xff", b"z" * 64]), max_size=40))
def test_distinct_words_in_order_of_first_appearance(words):
    block = b" ".join(words) + b"\n"
    found = distinct(block, find(block))
    unique = [block[a:b] for a, b in zip(found.starts.tolist(), found.ends.tolist(), strict=True)]
    assert unique == list(dict.fromkeys(words))
    assert [unique[place] for place in found.inverse.tolist()] == words
    assert found.hashes.tolist() == [hash_of(word) for word in unique]
    assert (np.diff(found.starts) > 0).all()


@quick
@given(blocks)
def test_distinct_words_of_any_bytes(block):
    words = find(block)
    found = distinct(block, words)
    every = [block[a:b] for a, b in spans(words)]
    unique = [block[a:b] for a, b in zip(found.starts.tolist(), found.ends.tolist(), strict=True)]
    assert unique == list(dict.fromkeys(every))
    assert [unique[place] for place in found.inverse.tolist()] == every


def test_many_words():
    """Positions take bits from the hashes that are sorted; nothing may be lost."""
    every = [b"w%d" % (place * place % 7919) for place in range(70000)]
    block = b" ".join(every) + b"\n"
    found = distinct(block, find(block))
    unique = [block[a:b] for a, b in zip(found.starts.tolist(), found.ends.tolist(), strict=True)]
    assert unique == list(dict.fromkeys(every))
    assert [unique[place] for place in found.inverse.tolist()] == every


def test_words_with_equal_hashes_are_one(monkeypatch):
    """What the documentation warns of, and the only way for two words to be taken for one."""
    from lmkit.tokenization import words

    monkeypatch.setattr(words, "hash_words", lambda block, starts, ends: np.full(len(starts), 5, dtype=np.uint64))
    found = distinct(b"a b a\n", Words(np.array([0, 2, 4]), np.array([1, 3, 5]), np.array([3])))
    assert found.inverse.tolist() == [0, 0, 0]


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_work_in_threads_comes_back_in_order(threads):
    assert list(in_order(lambda value: value * value, range(50), threads)) == [value * value for value in range(50)]
    assert list(in_order(str, [], threads)) == []


@pytest.mark.parametrize("threads", [1, 3])
def test_a_failure_in_a_thread_is_raised_at_its_place(threads):
    done = in_order(lambda value: 1 // value, [1, -1, 0, 1], threads)
    assert [next(done), next(done)] == [1, -1]
    with pytest.raises(ZeroDivisionError):
        next(done)
