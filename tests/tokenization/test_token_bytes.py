"""What tokens add to a text, against what the text becomes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import MAKERS, tokenizer

from lmkit.data.sequences import TextFormat, decode_text
from lmkit.tokenization.token_bytes import Context, token_bytes_of


def walked(additions, ids):
    """The text of ids by what each adds; None where one adds nothing."""
    joint, text = Context.START, b""
    for token in ids:
        added = additions.at_one(token, joint)
        if not added:
            return None
        text += added
        joint = additions.after(token)
    return text


def is_text(data):
    return data.decode(errors="replace").encode() == data


@pytest.mark.few(3)
@pytest.mark.parametrize("by", ["line", "stream"])
@pytest.mark.parametrize("name", MAKERS)
@settings(max_examples=60)
@given(seed=st.integers(0, 1 << 30), size=st.integers(1, 8))
def test_what_tokens_add_is_what_the_text_becomes(name, by, seed, size):
    known = tokenizer(name)
    form = TextFormat.of(by, known)
    additions = token_bytes_of(known, form)
    ids = np.random.default_rng(seed).integers(0, known.size, size=size).tolist()
    if by == "stream":
        ids = [form.newline_id if token % 7 == 0 else token for token in ids]
    text = walked(additions, ids)
    if text is not None and is_text(text):
        assert decode_text(known, form, ids) == text


@pytest.mark.parametrize("name", MAKERS)
def test_but_special_tokens_all_add_something_behind_a_space(name):
    known = tokenizer(name)
    additions = token_bytes_of(known, TextFormat.of("line", known))
    silent = {token for token in range(known.size) if not additions.at_one(token, Context.AFTER_SPACE)}
    assert silent == set(known.specials.values())
