"""Ids to bytes, against joining them one by one."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmkit.tokenization.id_rendering import Renderer
from lmkit.tokenization.line_ends import with_line_ends

ALL = bytes(range(256))


@settings(max_examples=100)
@given(st.lists(st.binary(max_size=30), min_size=1, max_size=20), st.lists(st.integers(0, 19), max_size=30))
@example([ALL, b"", b"ab"], [0, 1, 2, 2, 0])
@example([bytes(range(255)), b"", b"12345678", b"123456789"], [2, 1, 0, 3, 3])
@example([b""], [0, 0])
def test_strings_end_to_end(strings, chosen):
    ids = [index % len(strings) for index in chosen]
    assert Renderer(strings).render(np.array(ids, dtype=np.int32)) == b"".join(strings[index] for index in ids)


@settings(max_examples=60)
@given(st.lists(st.lists(st.integers(0, 9), max_size=4), max_size=6), st.lists(st.integers(0, 9), max_size=3))
def test_lines_get_their_ends(lines, rest):
    ids = np.array([token for line in [*lines, rest] for token in line], dtype=np.int32)
    ends = np.cumsum([len(line) for line in lines]).astype(np.int64)
    wanted = [token for line in lines for token in [*line, 99]] + rest
    assert with_line_ends(ids, ends, 99)[0].tolist() == wanted
