"""Laws that every kind of language model keeps."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rounding import assert_nats

from lmkit import checkpoint, registry
from lmkit.data.keyed_random import stream_of, uniforms
from lmkit.data.sequences import decode_text
from lmkit.evaluation import perplexity
from lmkit.generation import log_softmax, prompt_encoding
from lmkit.generation.engine import Generator, Request, completions
from lmkit.generation.filters import Filtering
from lmkit.generation.sampler import Position, Sampler
from lmkit.generation.steppers import SequentialStepper
from lmkit.tokenization.line_ends import with_line_ends

CLOSE = {"rtol": 0, "atol": 1e-9}


def is_ngram(model):
    return model.signature["kind"] == "ngram"


def assert_close(model, found, expected):
    """Equal but for rounding: neural models calculate in float32, in another order for many tokens at once."""
    if is_ngram(model):
        np.testing.assert_allclose(found, expected, **CLOSE)
    else:
        assert_nats(model, found, expected)


def sentences(model, seed=0, count=40):
    """Random sentences of every token that can be predicted, short ones, long ones and an empty one; ends included."""
    rng = np.random.default_rng(seed)
    specials = model.tokenizer.specials
    tokens = [token for token in range(model.tokenizer.size) if token not in (specials["bos"], specials["eos"])]
    lengths = [0, 1, 30, *rng.integers(1, 8, count - 3).tolist()]
    made = [[*rng.choice(tokens, length).tolist(), specials["eos"]] for length in lengths]
    return made + known_sentences(model)


def known_sentences(model):
    """Sentences that a model fitted on the corpus has mostly seen."""
    block = "the cat saw the dog\na bird sang in the tree\na niña vio\n".encode()
    ids, ends = with_line_ends(*model.tokenizer.encode_block(block), model.tokenizer.specials["eos"])
    return [part.tolist() for part in np.split(ids, ends[:-1])]


def laid_out(parts):
    ids = np.array([token for part in parts for token in part], dtype=np.int32)
    return ids, np.cumsum([len(part) for part in parts]).astype(np.int64)


def stepped(model, sentence):
    """A sentence's scores one token at a time."""
    state, scores = model.start(), []
    for token in sentence:
        scores.append(model.next(state)[token])
        state = model.advance(state, token)
    return scores


def states(model):
    """States worth looking at: the start, and those after each token of some sentences."""
    yield model.start()
    for sentence in sentences(model, seed=1, count=10):
        state = model.start()
        for token in sentence[:-1]:
            state = model.advance(state, token)
            yield state


def test_normalised_says_whether_scores_are_probabilities(model, model_name):
    assert model.normalised == ("stupid-backoff" not in model_name and not model_name.startswith("by-hand"))


def test_next_sums_to_one(model, model_name):
    if not model.normalised:
        return
    for state in states(model):
        logs = model.next(state)
        assert logs.shape == (model.tokenizer.size,)
        assert logs.dtype == np.float64
        assert not is_ngram(model) or logs[model.tokenizer.specials["bos"]] == -math.inf
        assert math.fsum(np.exp(logs).tolist()) == pytest.approx(1, rel=0, abs=1e-9)


def test_no_score_is_above_zero(model):
    for state in states(model):
        logs = model.next(state)
        assert not np.isnan(logs).any()
        assert (logs <= 1e-12).all()


def test_scoring_many_equals_stepping(model):
    parts = sentences(model)
    ids, ends = laid_out(parts)
    scores = model.score_many(ids, ends)
    assert scores.dtype == np.float64
    assert scores.shape == ids.shape
    assert_close(model, scores, [score for part in parts for score in stepped(model, part)])


def test_factors_are_the_scores(model):
    for sentence in sentences(model, count=10):
        factors = model.explain(sentence)
        scores = model.score_many(*laid_out([sentence]))
        assert [factor.token for factor in factors] == sentence
        assert [factor.nats for factor in factors] == scores.tolist()
        if is_ngram(model):
            assert all(1 <= factor.order <= max(1, model.order) for factor in factors)
            assert all(factor.order - 1 <= len(factor.context) <= max(0, model.order - 1) for factor in factors)
        else:
            assert all(1 <= factor.order == len(factor.context) for factor in factors)


@pytest.mark.few(6)
def test_the_past_does_not_depend_on_the_future(model):
    for sentence in sentences(model, seed=2, count=10):
        whole = model.score_many(*laid_out([sentence]))
        for length in range(len(sentence) + 1):
            prefix = model.score_many(*laid_out([sentence[:length]]))
            assert_close(model, prefix, whole[:length])
            assert not is_ngram(model) or prefix.tolist() == whole[:length].tolist()


def test_sentences_do_not_know_each_other(model):
    parts = sentences(model, seed=3)
    together = model.score_many(*laid_out(parts))
    alone = np.concatenate([model.score_many(*laid_out([part])) for part in parts])
    assert_close(model, together, alone)
    assert not is_ngram(model) or together.tolist() == alone.tolist()
    backwards = model.score_many(*laid_out(parts[::-1]))
    again = np.concatenate(np.split(backwards, np.cumsum([len(part) for part in parts[::-1]])[:-1])[::-1])
    assert_close(model, together, again)
    assert not is_ngram(model) or together.tolist() == again.tolist()


def test_nothing_is_scored_without_tokens(model):
    assert model.score_many(np.zeros(0, np.int32), np.zeros(0, np.int64)).shape == (0,)
    assert model.score_many(np.zeros(0, np.int32), np.zeros(3, np.int64)).shape == (0,)


def test_old_states_stay_good(model):
    for sentence in sentences(model, seed=4, count=8):
        state, kept = model.start(), []
        for token in sentence[:-1]:
            kept.append((state, model.next(state).copy()))
            model.next(state)[:] = 0.0  # the caller owns what it was given
            state = model.advance(state, token)
        for old, logs in kept:
            model.advance(old, model.tokenizer.specials["eos"])
            assert model.next(old).tolist() == logs.tolist()


def test_equal_histories_give_equal_states(model):
    for sentence in sentences(model, seed=5, count=8):
        first, second = model.start(), model.start()
        for token in sentence[:-1]:
            first, second = model.advance(first, token), model.advance(second, token)
        assert model.next(first).tolist() == model.next(second).tolist()
        if is_ngram(model):
            assert first == second
            assert hash(first) == hash(second)


def test_saving_and_loading_changes_nothing(model, model_name):
    record = {"command": "test"}
    data = b"".join(checkpoint.serialize(model.to_checkpoint(record)))
    again = registry.load(memoryview(data), model_name)
    assert b"".join(checkpoint.serialize(again.to_checkpoint(record))) == data
    ids, ends = laid_out(sentences(model))
    assert again.score_many(ids, ends).tobytes() == model.score_many(ids, ends).tobytes()
    assert again.tokenizer.digest == model.tokenizer.digest
    same = set(model.signature) - {"model"}
    assert {key: again.signature[key] for key in same} == {key: model.signature[key] for key in same}
    assert again.normalised == model.normalised


def test_same_command_gives_same_bytes(model_name, shelf, lmkit, tmp_path, model):
    recipe = shelf.command(model_name)
    if recipe is None:
        return
    done = lmkit(*recipe, "--quiet", "-o", tmp_path / model_name)
    assert done.status == 0
    assert (tmp_path / model_name).read_bytes() == shelf[model_name].read_bytes()


# Sampling.


def critical(freedom):
    """What chi-square with so many degrees of freedom exceeds once in 100 000 times (Wilson and Hilferty 1931)."""
    quantile = 4.2649
    return freedom * (1 - 2 / (9 * freedom) + quantile * math.sqrt(2 / (9 * freedom))) ** 3


def chi_square(drawn, probabilities):
    """Chi-square of drawn tokens, rare ones taken together, and its degrees of freedom."""
    seen = np.bincount(drawn, minlength=len(probabilities))
    assert not seen[probabilities == 0].any()
    expected = probabilities * len(drawn)
    rare = expected < 8
    seen = np.append(seen[~rare], seen[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    seen, expected = seen[expected > 0], expected[expected > 0]
    return float(((seen - expected) ** 2 / expected).sum()), max(1, len(seen) - 1)


def one_by_one(model, temperature=1.0, *, unknown=False):
    chooser = Sampler(Filtering(temperature=temperature).chain(), never=prompt_encoding.never(model, unknown=unknown))
    return SequentialStepper(model, chooser)


def generated(model, stepper, samples, *, seed=0, most=12, batch=1):
    """Continuations of nothing, by the number of their sample."""
    requests = [Request(stream_of(seed, "0", n), np.zeros(0, np.int32), model.start, label=n) for n in samples]
    events = list(Generator(model, stepper, most=most, batch=batch).run(requests))
    done = {event.request.label: event for event in completions(events)}
    assert list(done) == list(samples)
    return done


@pytest.mark.few(2)
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_samples_are_as_frequent_as_the_model_says(model, seed):
    chooser = Sampler(Filtering().chain(), never=prompt_encoding.never(model, unknown=True))
    first = int(np.argmax(model.next(model.start())))
    for state in (model.start(), model.advance(model.start(), first)):
        logs = model.next(state)
        if model.tokenizer.specials["bos"] not in prompt_encoding.ends_of(model.form):
            logs[model.tokenizer.specials["bos"]] = -np.inf  # stands before all text only
        probabilities = np.exp(log_softmax.normalise(logs))
        streams = [stream_of(seed, "test", sample) for sample in range(2000)]
        places = [Position(stream, np.zeros(0, np.int32), []) for stream in streams]
        drawn = [int(chooser(logs[None], [place])[0][0]) for place in places]
        statistic, freedom = chi_square(drawn, probabilities)
        assert statistic < critical(freedom)


def test_chi_square_notices_a_wrong_distribution():
    numbers = uniforms(range(2000), [0] * 2000, np.array([0]))[:, 0]
    statistic, freedom = chi_square((numbers < 0.6).astype(int), np.array([0.5, 0.5]))
    assert statistic > critical(freedom)


def test_hardly_any_temperature_is_greedy(model):
    """The least temperatures leave the most probable tokens, of which greedy takes the first."""
    for state in states(model):
        logs = model.next(state).copy()
        logs[model.tokenizer.specials["unk"]] = -np.inf
        if logs.max() == -np.inf:
            continue
        greedy = Filtering(temperature=0).chain()(logs[None]).spread(len(logs))[0]
        cold = log_softmax.normalise(Filtering(temperature=1e-9).chain()(logs[None]).logs[0])
        best = np.flatnonzero(logs == logs.max())
        assert np.flatnonzero(greedy > -np.inf).tolist() == [best[0]]
        near = logs > logs.max() - 1e-7
        assert np.exp(cold[near]).sum() == pytest.approx(1, abs=1e-9)
        if near.sum() == 1:
            assert np.exp(cold).argmax() == greedy.argmax()


def test_samples_do_not_depend_on_what_else_is_drawn(model):
    drawn = {}
    for order in (range(6), range(5, -1, -1), (3,)):
        for sample, done in generated(model, one_by_one(model), order, seed=1).items():
            assert drawn.setdefault(sample, done.ids) == done.ids
    assert len({tuple(ids) for ids in drawn.values()}) > 1


def test_what_is_drawn_costs_what_the_model_says(model):
    specials = model.tokenizer.specials
    for done in generated(model, one_by_one(model), range(5)).values():
        ids = [*done.ids, *done.closing]
        assert done.finish_reason in ("eos", "length")
        assert (len(done.ids) == 12) >= (done.finish_reason == "length")
        assert specials["unk"] not in done.ids
        assert specials["bos"] not in done.ids
        assert_close(model, done.nats(model), model.score_many(*laid_out([ids])).sum())
        assert done.text == decode_text(model.tokenizer, model.form, done.ids)


# The same laws for texts that hypothesis thinks of.

WORDS = st.sampled_from(
    ["the", "cat", "a", "dog", "niña", "zebra", "árbol", "<unk>", "<s>", "</s>", "-", "\u2028", "x\x0b"]
)
TEXTS = st.lists(st.lists(WORDS, max_size=8).map(" ".join), min_size=1, max_size=5)


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "name", ["modified-kneser-ney-4.lm", "katz-3.lm", "count-pruned.lm", "char-mixed.lm", "byte-witten-bell.lm"]
)
@settings(max_examples=40)
@given(lines=TEXTS)
def test_any_text_is_scored_as_by_stepping(name, lines, opened):
    model = opened(name)
    block = "".join(line + "\n" for line in lines).encode()
    _, ends, nats = perplexity.score_block(model, block)
    expected = []
    for line in lines:
        expected += stepped(model, [*model.tokenizer.encode(line.encode()).tolist(), model.tokenizer.specials["eos"]])
    assert len(ends) == len(lines)
    np.testing.assert_allclose(nats, expected, **CLOSE)
    if model.normalised:
        assert (nats <= 1e-12).all()


@pytest.mark.parametrize("name", ["witten-bell-2.lm", "mle-2.lm", "word-0.lm"])
@settings(max_examples=20)
@given(lines=TEXTS)
def test_perplexity_is_the_same_however_text_is_cut(name, lines, opened):
    model = opened(name)
    block = "".join(line + "\n" for line in lines).encode()
    whole = perplexity.evaluate_block(model, block)
    total = perplexity.Totals()
    for line in lines:
        total.add(perplexity.evaluate_block(model, line.encode() + b"\n"))
    assert total.nats == pytest.approx(whole.nats, abs=1e-9)
    assert (total.tokens, total.unknown_tokens, total.words, total.characters, total.bytes) == (
        whole.tokens, whole.unknown_tokens, whole.words, whole.characters, whole.bytes,
    )  # fmt: skip
