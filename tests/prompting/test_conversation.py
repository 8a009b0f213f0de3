"""Conversations that are cut to a context."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.errors import DataError
from lmkit.prompting.conversation import fitted


def size(messages):
    return sum(2 + len(message["content"]) for message in messages)


def conversation(lengths, system):
    first = [{"role": "system", "content": "s" * system}] if system is not None else []
    return first + [
        {"role": ("user", "assistant")[place % 2], "content": f"{place:02d}" + "x" * length}
        for place, length in enumerate(lengths)
    ]


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=15).filter(lambda lengths: len(lengths) % 2),
    st.none() | st.integers(0, 20), st.integers(1, 200),
)  # fmt: skip
def test_whole_exchanges_are_left_out_oldest_first(lengths, system, most):
    messages = conversation(lengths, system)
    head = messages[: system is not None]
    last = [*head, messages[-1]]
    if size(last) > most:
        with pytest.raises(DataError, match=f"{size(last)} tokens of the last message"):
            fitted(messages, size, most, most)
        assert fitted(messages, size, most, size(last)) == last
        return
    kept = fitted(messages, size, most, most)
    assert size(kept) <= most
    assert kept[: len(head)] == head
    rest = kept[len(head) :]
    assert rest == messages[len(messages) - len(rest) :]
    assert rest[0]["role"] == "user"
    if len(kept) < len(messages):
        assert size(messages) > most
        assert size(kept) <= most - most // 4 or kept == last
        one_more = [*head, *messages[len(messages) - len(rest) - 2 :]]
        assert size(one_more) > most - most // 4
