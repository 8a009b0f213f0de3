"""Regular expressions of users: where they cut, in this process and within limits, and how hostile ones end."""

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit import isolation
from lmkit.errors import DataError
from lmkit.io import limited_process
from lmkit.tokenization.bpe import expressions
from lmkit.tokenization.bpe.expressions import Splitter
from lmkit.tokenization.bpe.pretokenization import INSIDE, find

WORDS = r"\w+|[^\w\s]+|\s+"


def cuts(splitter, stretches):
    return [(count, np.frombuffer(places, dtype=np.int64).tolist()) for count, places in splitter.cuts(stretches)]


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=20), st.integers(1, 40))
def test_stretches_are_cut_alone_whatever_their_groups(stretches, size):
    splitter = Splitter(WORDS)
    alone = [cuts(splitter, [one])[0][1] for one in stretches]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expressions, "FRAME", size)
        found, done = [], 0
        for count, places in cuts(splitter, stretches):
            bases = np.cumsum([0, *map(len, stretches[done : done + count])])
            found += [[at - low for at in places if low <= at < high] for low, high in pairwise(bases)]
            done += count
    assert found == alone


@given(st.text())
def test_pre_tokens_of_characters_of_any_length(text):
    block = text.replace("\r", "").encode(errors="replace") + b"\n"
    starts, ends = find(block, r"[^\n]|\n", 3, INSIDE)
    assert [block[a:b].decode() for a, b in zip(starts, ends, strict=True)] == [*block.decode()]


@pytest.fixture
def limited(monkeypatch):
    """Workers are processes that have two seconds and 64 MB."""
    monkeypatch.setattr(limited_process, "LIMITS", limited_process.Limits(2.0, 64 << 20))
    expressions.splitter.cache_clear()
    with limited_process.Workers() as workers, isolation.started_by(workers.start):
        yield
    expressions.splitter.cache_clear()


def test_a_process_cuts_as_this_one_does(limited):
    text = ("the cat, été 12 \U0001f600\n".encode() + b"\xff\xfe a\n") * 4000
    here = find(text, WORDS, 3, INSIDE)
    expressions.splitter.cache_clear()
    there = find(text, WORDS, 3, INSIDE)
    assert all((one == other).all() for one, other in zip(here, there, strict=True))


HOSTILE = {
    r"(a+)+$": (b"a" * 40 + b"!\n", "retry-limit-in-match over"),
    r".*.*.*=b|a": (b"x=" + b"a" * 20000 + b"\n", "not done within 2 s, the limit"),
}


@pytest.mark.parametrize("pattern", HOSTILE)
def test_hostile_expressions_end_in_one_line(pattern, limited):
    text, told = HOSTILE[pattern]
    with pytest.raises(DataError, match=re.escape(told)) as raised:
        find(text, pattern, 3, INSIDE)
    assert str(raised.value).startswith(f"the pattern {pattern!r} on the text {text.decode()[:40]!r}...: ")


def test_what_is_no_expression():
    with pytest.raises(DataError, match="no regular expression"):
        Splitter("(a")
