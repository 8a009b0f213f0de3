"""`lmkit calc dpo`: row H12."""

import pytest

PAIR = '{"policy_chosen": -10, "policy_rejected": -12, "reference_chosen": -11, "reference_rejected": -11'


def test_worked_example(lmkit):
    done = lmkit("calc", "dpo", PAIR + ', "beta": 0.1}')
    assert list(done.records[0]) == ["loss", "margin"]
    assert done.records[0] == pytest.approx({"loss": 0.5981389, "margin": 0.2}, abs=1e-7)
    assert lmkit("calc", "dpo", PAIR + "}").stdout == done.stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "expected an object"),
        (PAIR + ', "beta": 0}', "beta: 0, expected"),
        (PAIR + ', "b": 1}', "'b' is unknown"),
    ],
)
def test_bad_values(lmkit, text, message):
    done = lmkit("calc", "dpo", text)
    assert done.status == 3
    assert message in done.stderr
