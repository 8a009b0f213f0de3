"""Random numbers and the race that draws by them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.data.keyed_random import stream_of, uniforms
from lmkit.generation import gumbel_noise
from lmkit.generation.filters import Filtering
from lmkit.generation.sampler import Position, Sampler

DRAWS = 100_000
CRITICAL = {1: 15.137, 2: 18.421, 3: 21.108, 4: 23.513, 5: 25.745}
"""Of chi-square at 1e-4, by degrees of freedom."""
SIX = np.log(np.array([0.4, 0.25, 0.15, 0.1, 0.07, 0.03]))
FOUR = np.log(np.array([0.5, 0.3, 0.15, 0.05]))


@pytest.fixture(scope="module")
def streams():
    return [stream_of(11, "0", sample) for sample in range(DRAWS)]


@pytest.mark.parametrize(
    "asked",
    [{}, {"temperature": 0.5}, {"temperature": 4.02}, {"top_k": 3}, {"top_p": 0.81}, {"min_p": 0.2},
     {"typical": 0.7}, {"epsilon": 0.08}, {"eta": 0.3}, {"temperature": 2.0, "top_k": 4, "top_p": 0.9}],
)  # fmt: skip
@pytest.mark.parametrize("logs", [FOUR, SIX])
def test_draws_follow_what_the_filters_leave(asked, logs, streams):
    left = Filtering(**asked).chain()(logs[None])
    rows = np.broadcast_to(left.logs, (DRAWS, left.logs.shape[1]))
    ids = None if left.ids is None else np.broadcast_to(left.ids, rows.shape)
    won, sure = gumbel_noise.draw(rows, streams, [3] * DRAWS, ids)
    probabilities = np.exp(left.logs[0]) / np.exp(left.logs[0]).sum()
    expected = probabilities * DRAWS
    seen = np.bincount(won, minlength=len(expected))
    assert sure.all()
    assert not seen[expected == 0].any()
    seen, expected = seen[expected > 0], expected[expected > 0]
    assert ((seen - expected) ** 2 / expected).sum() < CRITICAL.get(len(expected) - 1, np.inf)
    assert (seen > 0).all()


LOGS = st.lists(st.sampled_from([0.0, -0.5, -0.5, -2.0, -9.0, -np.inf]), min_size=2, max_size=9).filter(
    lambda logs: max(logs) > -np.inf
)


@given(logs=LOGS, stream=st.integers(0, 2**64 - 1), data=st.data())
def test_the_winner_does_not_change_when_others_are_dropped(logs, stream, data):
    logs = np.array(logs)
    (winner,), _ = gumbel_noise.draw(logs[None], [stream], [4])
    rest = [t for t in range(len(logs)) if t == winner or data.draw(st.booleans())]
    ids = np.array(data.draw(st.permutations(rest)))
    (again,), _ = gumbel_noise.draw(logs[ids][None], [stream], [4], ids[None])
    assert ids[again] == winner


@given(logs=LOGS, stream=st.integers(0, 2**64 - 1), error=st.sampled_from([1e-3, 0.1, 1.0]), data=st.data())
def test_a_sure_winner_wins_whatever_the_errors(logs, stream, error, data):
    logs = np.array(logs)
    (winner,), (sure,) = gumbel_noise.draw(logs[None], [stream], [0], None, error)
    off = np.array([data.draw(st.sampled_from([-1, 1]) | st.floats(-1, 1)) for _ in logs]) * error
    (true,), _ = gumbel_noise.draw((logs + off)[None], [stream], [0])
    assert true == winner or not sure


def test_few_winners_are_in_doubt():
    rows = np.tile(FOUR, (2000, 1))
    _, sure = gumbel_noise.draw(rows, range(2000), [0] * 2000, None, 1e-3)
    assert 0 < (~sure).sum() < 20


@given(stream=st.integers(0, 2**64 - 1), step=st.integers(0, 10**6), size=st.integers(1, 1500), data=st.data())
def test_numbers_made_ahead_are_the_same(stream, step, size, data):
    ahead = gumbel_noise.NoisePrefetch()
    for another in (step, step + data.draw(st.integers(0, 40)), step):
        numbers = uniforms([stream], [another], np.arange(size))
        np.testing.assert_array_equal(ahead.late([stream], [another], size), np.log(-np.log1p(-numbers)))


@given(logs=LOGS, streams=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=5), k=st.integers(0, 4))
def test_texts_draw_the_same_alone_and_together(logs, streams, k):
    chooser = Sampler(Filtering(top_k=k).chain())
    prompt = np.zeros(0, np.int32)
    places = [Position(stream, prompt, [0] * step) for step, stream in enumerate(streams)]
    together = chooser(np.tile(logs, (len(places), 1)), places)[0].tolist()
    assert [int(chooser(np.array([logs]), [place])[0][0]) for place in places] == together


def test_rows_beyond_the_cache_draw_the_same(monkeypatch):
    rows = np.log(np.random.default_rng(0).dirichlet(np.ones(50), size=40))
    whole = gumbel_noise.draw(rows, range(40), [1] * 40)
    monkeypatch.setattr(gumbel_noise, "CHUNK", 150)
    parts = gumbel_noise.draw(rows, range(40), [1] * 40)
    assert whole[0].tolist() == parts[0].tolist()


def test_numbers_do_not_run_into_each_other():
    """Seed 1, sample 11 is not seed 11, sample 1, and so on."""
    streams = [stream_of(seed, key, sample) for seed in range(13) for key in ("", "1") for sample in range(13)]
    numbers = [uniforms(streams, [step] * len(streams), np.arange(13)) for step in range(13)]
    assert len(np.unique(numbers)) == 13 * 2 * 13 * 13 * 13


def test_numbers_are_spread_evenly(streams):
    numbers = uniforms(streams[:20_000], [0] * 20_000, np.arange(3)).T
    for one in numbers:
        assert ((np.histogram(one, bins=20, range=(0, 1))[0] - 1000) ** 2 / 1000).sum() < 60
        assert abs(np.corrcoef(one[:-1], one[1:])[0, 1]) < 0.03
    assert abs(np.corrcoef(numbers)[np.triu_indices(3, 1)]).max() < 0.03
