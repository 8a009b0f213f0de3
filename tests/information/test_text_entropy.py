"""Statistics of texts: bits a byte, the counter of an order, and windows against their own symbols."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.array_storage import Memory
from lmkit.information.block_entropy import BlockCounts, SymbolCounts, in_window
from lmkit.information.text_entropy import TextStatistics, counter_of, windowed


@pytest.mark.parametrize(("order", "kind"), [(0, SymbolCounts), (2, BlockCounts)])
def test_orders_are_those_up_to_the_one_asked_for(order, kind):
    counter = counter_of(order, memory=1 << 40, spill=Memory, alphabet=256)
    assert isinstance(counter, kind)
    counter.add(np.frombuffer(b"abracadabra", dtype=np.uint8))
    assert [one.order for one in counter.finish()] == list(range(order + 1))


def test_bits_of_a_byte():
    assert TextStatistics([], symbols=3, bytes=12).bits_per_byte(2.0) == pytest.approx(0.5)


@given(
    symbols=st.lists(st.integers(0, 3), max_size=20), cut=st.integers(0, 20), size=st.integers(2, 6),
    step=st.integers(1, 4), order=st.integers(0, 1),
)  # fmt: skip
def test_windows_have_the_statistics_of_their_symbols(symbols, cut, size, step, order):
    text = np.array(symbols, dtype=np.uint8)
    found = [(begin, one.entropy()) for begin, one in windowed([text[:cut], text[cut:]], size, step, order)]
    begins = range(0, len(text) - size + 1, step)
    assert found == [(begin, in_window(text[begin : begin + size], order).entropy()) for begin in begins]
