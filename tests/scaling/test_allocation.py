"""Data for a model's size, and epochs of sources."""

import pytest

from lmkit.scaling import allocation


def test_row_k6():
    """The course prints 2.9 for WebText2 and 3.4 for Wikipedia."""
    tokens, sources = allocation.MIXES["gpt3"]
    found = [allocation.epochs(source, tokens) for source in sources]
    assert found == pytest.approx([0.439, 3.474, 2.0, 0.436, 3.0], abs=5e-4)
    assert sum(source.weight for source in sources) == pytest.approx(1.01)


@pytest.mark.parametrize(
    ("ratio", "said"),
    [(9.9, "under-trained"), (10, "balanced"), (20, "balanced"), (40, "balanced"), (41, "over-trained")],
)
def test_verdicts(ratio, said):
    assert allocation.verdict(ratio) == said
    assert allocation.verdict(ratio / 20, 1) == said
