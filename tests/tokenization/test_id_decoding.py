"""Ids back to text: numbers in blocks, arrays, and what is no id."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_models import MAKERS, tokenizer

from lmkit.errors import DataError
from lmkit.tokenization.id_decoding import IdDecoder, numbers_in


@pytest.mark.few(3)
@pytest.mark.parametrize("name", MAKERS)
@given(data=st.data())
def test_lines_are_as_the_tokenizer_decodes_them(name, data):
    known = tokenizer(name)
    ordinary = [token for token in range(known.size) if token not in known.specials.values()]
    lines = data.draw(st.lists(st.lists(st.sampled_from(ordinary), min_size=1, max_size=6), min_size=1, max_size=4))
    decoder = IdDecoder(known)
    block = b"".join(b"%s\n" % b" ".join(b"%d" % token for token in line) for line in lines)
    ids = numbers_in(block, decoder.feed)
    assert decoder.has(ids, len(lines))
    assert decoder.decode(ids) == b"".join(known.decode(line) + b"\n" for line in lines)


def test_what_is_no_number():
    assert numbers_in(b"1 a\n", 7) is None
    assert numbers_in(b"1 2\n\n3", 7).tolist() == [1, 2, 7, 7, 3]


@pytest.mark.parametrize("wrong", [-1, 9999])
def test_an_array_with_a_number_that_is_no_id(wrong):
    decoder = IdDecoder(tokenizer("word"))
    assert not decoder.has(np.array([1, wrong]), 0)
    with pytest.raises(DataError, match=f"element 1 is {wrong}, outside the vocabulary of {decoder.feed}"):
        list(decoder.decode_array(np.array([1, wrong])))
