"""Prompts of so many tokens: whole examples, and always the item."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.errors import DataError
from lmkit.prompting import example_selection
from lmkit.prompting.examples import Example
from lmkit.prompting.layout import Layout
from lmkit.prompting.token_budget import Budget


@given(
    sizes=st.lists(st.integers(0, 9), max_size=12),
    most=st.integers(0, 60),
    arranged=st.sampled_from([example_selection.as_selected, example_selection.last_first]),
)
def test_as_many_of_the_first_choices_as_fit(sizes, most, arranged):
    shots = [Example("x" * size, "p", number=number) for number, size in enumerate(sizes, 1)]
    item, layout, budget = Example("item"), Layout("do"), Budget(most, len)
    fitting = [
        count for count in range(len(shots) + 1) if len(layout.lay(arranged(shots[:count], item), item).text) <= most
    ]
    if not fitting:
        with pytest.raises(DataError, match=f"the prompt has 10 tokens without examples, expected at most {most}"):
            budget.fitted(layout, arranged, shots, item)
        assert not budget.kept
        return
    laid, shown = budget.fitted(layout, arranged, shots, item)
    assert shown == arranged(shots[: max(fitting)], item)
    assert laid == layout.lay(shown, item)
    assert budget.kept == {(max(fitting), len(shots)): 1}
