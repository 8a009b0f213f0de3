import pytest

from lmkit.errors import DataError
from lmkit.metrics.item_alignment import Key, align

FILES = ("a", "b")


def keys(*ids, file="a"):
    return [Key(one, f"{file}:{number}") for number, one in enumerate(ids, 1)]


def test_by_ids_where_both_have_them_else_by_order():
    assert align(keys("x", "y", "z"), keys("z", "x", "y"), FILES) == [1, 2, 0]
    assert align(keys("x", "y"), keys(None, None), FILES) == [0, 1]
    assert align(keys(None, None), keys("y", "x"), FILES) == [0, 1]


def test_samples_of_one_id_share_an_item():
    assert align(keys("x", "x", "y", "x"), keys("y", "x"), FILES, samples=True) == [1, 1, 0, 1]
    assert align(keys("x", "x", "y", "x"), keys(None, None), FILES, samples=True) == [0, 0, 1, 0]
    assert align(keys(None, None), keys(None, None), FILES, samples=True) == [0, 1]


@pytest.mark.parametrize(
    ("items", "others", "message"),
    [
        (("x", "x"), (None, None), "^a:2: the id 'x' repeats that of a:1$"),
        (("x", "y"), ("x", "x"), "^b:2: the id 'x' repeats that of b:1$"),
        (("x", None), (None, None), "^a:2: no `id`, though 1 of 2 records have one$"),
        (("x", "y"), ("x",), "^b lacks 1 of the 2 items of a: id 'y'$"),
        (("x",), ("x", "y"), "^a lacks 1 of the 2 items of b: id 'y'$"),
        (tuple("123456"), ("7",), "of the 6 items of a: id '1', '2', '3', '4', '5', ...$"),
        ((None,), (None, None), "^a has 1 item but b has 2: expected equal numbers$"),
        ((None, None), (None,), "^a has 2 items but b has 1: expected equal numbers$"),
    ],
)
def test_what_does_not_belong_together(items, others, message):
    with pytest.raises(DataError, match=message):
        align(keys(*items), keys(*others, file="b"), FILES)
