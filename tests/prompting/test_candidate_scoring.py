"""Answers' likelihoods: those of whole texts, whatever else is asked, under every kind of model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import MAKERS, RandomModel, tokenizer
from random_weights import random_weights
from rounding import assert_nats

from lmkit.architectures.neural_model import LoadedModel
from lmkit.data.sequences import TextFormat, encode_prompt
from lmkit.errors import DataError
from lmkit.generation import prompt_encoding
from lmkit.inference import prefix_cache, thread_pool
from lmkit.inference.recurrent import RecurrentModel
from lmkit.inference.transformer import TransformerModel
from lmkit.prompting import candidate_scoring
from lmkit.prompting.candidate_scoring import Question, score_all
from lmkit.prompting.prefix_scoring import StatePrefixScorer, prefix_scorer_of

SMALL = {"layers": 2, "width": 12, "heads": 2, "kv_heads": 1, "head_width": 6, "hidden": 16, "context": 256}
LEARNED = {"positions": "learned", "normalisation": "layernorm", "activation": "gelu", "bias": "all", "tied": True}


def transformer(name, by="stream", **own):
    return TransformerModel(random_weights("transformer", tokenizer(name), by=by, **{**SMALL, **own}))


def lstm(name, by="stream"):
    return RecurrentModel(random_weights("rnn", tokenizer(name), by=by, width=9))


def line_ends_as_text(model):
    """The same model over texts whose line ends are text."""
    form = TextFormat("stream", model.form.start, None, None)
    weights = model.weights
    return type(model)(LoadedModel(weights.settings, form, weights.tokenizer, weights.tensors))


def score(model, *questions, **options):
    return list(candidate_scoring.score(model, questions, **options))


def total(model, ids):
    return float(model.score_many(ids, np.array([len(ids)])).sum())


TEXTS = st.lists(
    st.sampled_from(["the", "cat", "no", "not", " ", "a", "b", "0", "niña", "😀", ".", "\n", "x"]), max_size=8
)
TEXT = TEXTS.map("".join)
LINE = TEXT.map(lambda text: text.replace("\n", " "))
CANDIDATES = st.lists(LINE, min_size=1, max_size=4, unique=True).map(tuple)


def asked(model, question):
    """What a question's likelihoods must be: whole texts less what they share; the tokens of each; the longest text."""

    def ids(text):
        return encode_prompt(model.tokenizer, model.form, text.encode())

    before = question.before
    texts = [ids(before + question.joint + one + question.after) for one in question.candidates]
    shared = 0
    alone = ids(before).tolist()
    while all(len(text) > shared and alone[shared:] and text[shared] == alone[shared] for text in texts):
        shared += 1
    totals, begun = [total(model, text) for text in texts], total(model, texts[0][:shared])
    return [nats - begun for nats in totals], [len(text) - shared for text in texts], np.abs(totals).max()


MODELS = [
    *((make, name) for make in (transformer, lstm) for name in ("word", "char", "byte", "bpe-byte", "bpe-char")),
    *((transformer, name) for name in MAKERS if name not in ("word", "char", "byte", "bpe-byte", "bpe-char")),
]


@pytest.mark.few(5)
@pytest.mark.parametrize(("make", "name"), MODELS, ids=lambda value: getattr(value, "__name__", value))
def test_likelihoods_are_those_of_whole_texts(make, name):
    model = make(name)

    @settings(max_examples=10)
    @given(TEXT, st.sampled_from(["", " "]), CANDIDATES, TEXT)
    def check(before, joint, candidates, after):
        question = Question(before, candidates, joint, after)
        (found,) = score(model, question)
        nats, tokens, size = asked(model, question)
        assert found.tokens == tuple(tokens)
        assert_nats(model, found.nats, nats, size=size)

    check()


@given(TEXT, CANDIDATES, TEXT)
@settings(max_examples=10)
def test_line_ends_that_are_text(before, candidates, after):
    model = line_ends_as_text(transformer("byte"))
    question = Question(before, candidates, " ", after)
    (found,) = score(model, question)
    nats, _, size = asked(model, question)
    assert_nats(model, found.nats, nats, size=size)


@given(TEXT, CANDIDATES, TEXT)
@settings(max_examples=10)
def test_models_of_lines_see_the_line_of_the_answer(before, candidates, after):
    model = RandomModel("char")
    (found,) = score(model, Question(before, candidates, " ", after))
    here, newline_id, _ = after.partition("\n")
    (alone,) = score(model, Question(before.split("\n")[-1], candidates, " ", here))
    if not newline_id:
        assert found == alone
    else:  # the end of that line is scored with it
        assert [one - 1 for one in found.tokens] == list(alone.tokens)
        assert all(one < other for one, other in zip(found.nats, alone.nats, strict=True))


def test_an_answer_of_several_lines_is_none_to_models_of_lines():
    with pytest.raises(DataError, match=r"here:1: .*several lines"):
        score(RandomModel("char"), Question("a", ("b\nc",), place="here:1"))
    assert score(transformer("char"), Question("a", ("b\nc",)))[0].tokens == (3,)


@pytest.mark.few(15)
def test_answers_of_one_token_are_as_probable_as_next_says(model):
    ids = encode_prompt(model.tokenizer, model.form, b"the")
    logs = model.next(prompt_encoding.state_after(model, ids))
    pieces = [model.tokenizer.piece(token).decode(errors="replace") for token in range(model.tokenizer.size)]
    single = tuple(dict.fromkeys(one for one in pieces if one.isalpha()))[:5]
    joint = " " if model.tokenizer.kind == "word" else ""
    question = Question("the", single, joint)
    endings = candidate_scoring.encode_question(model, question).endings
    assert [len(ending) for ending in endings] == [1] * len(single)
    expected = [logs[ending[0]] for ending in endings]
    if model.signature["kind"] == "ngram":
        assert score(model, question)[0].nats == pytest.approx(expected, abs=1e-9)
    else:
        assert_nats(model, score(model, question)[0].nats, expected)


# The same whatever else is asked.


def prompts_of(count, seed=0):
    """Questions whose prompts begin alike, some of which are the same or go on from one another."""
    rng = np.random.default_rng(seed)
    words = ["the", "cat", "dog", "sat", "a", "no", "not", "niña"]
    begins = [" ".join(rng.choice(words, size)) for size in (40, 11, 25)]
    found = []
    for number in range(count):
        before = str(rng.choice(begins)) + " " + " ".join(rng.choice(words, rng.integers(0, 12)))
        candidates = ("no", "not", "cat dog", "a" * (number % 5), "the dog sat")[: 2 + number % 4]
        found.append(Question(before.rstrip(), tuple(dict.fromkeys(candidates)), " ", [".", ""][number % 2]))
    return found


@pytest.mark.parametrize("name", ["word", "char"])
@pytest.mark.parametrize("make", [transformer, lstm, RandomModel], ids=lambda make: make.__name__)
def test_no_bit_hangs_on_other_questions(make, name, monkeypatch):
    model = make(name)
    questions = prompts_of(20)
    alone = [score(model, question)[0] for question in questions]
    assert score(model, *questions) == alone
    assert score(model, *questions[::-1]) == alone[::-1]
    monkeypatch.setattr(candidate_scoring, "TOGETHER", 3)
    assert score(model, *questions) == alone


@pytest.mark.parametrize("name", ["witten-bell-3.lm", "modified-kneser-ney-4.lm", "by-hand.arpa", "ffn.lm"])
def test_no_bit_hangs_on_other_questions_of_lines(name, opened):
    model = opened(name)
    questions = prompts_of(20)
    assert score(model, *questions) == [score(model, question)[0] for question in questions]


def test_no_bit_hangs_on_threads():
    model = transformer("word", width=600, head_width=50, heads=12, kv_heads=4, hidden=512)
    questions = prompts_of(6)
    found = score(model, *questions)
    try:
        thread_pool.use(3)
        assert score(model, *questions) == found
    finally:
        thread_pool.use(1)


@pytest.mark.parametrize("own", [{}, LEARNED, {"positions": "sinusoidal"}], ids=["rope", "learned", "sinusoidal"])
def test_what_is_shared_is_run_once(own):
    model, same = transformer("char", **own), transformer("char", **own)
    found, stepped = model.trunk(), StatePrefixScorer(same)
    run = []
    extend = found._decoder.extend

    def counted(cache, ids):
        run.append(len(ids))
        return extend(cache, ids)

    found._decoder.extend = counted
    rng = np.random.default_rng(1)
    letters = [token for token in range(3, 20) if token != model.form.newline_id]

    def some(size):
        return rng.choice(letters, size).astype(np.int32)

    newline_id = np.array([model.form.newline_id], np.int32)
    shared = np.concatenate(
        (some(2 * prefix_cache.MOST), newline_id, some(2), newline_id, some(prefix_cache.LEAST), newline_id)
    )
    for number in range(prefix_cache.LEAST, prefix_cache.LEAST + 4):
        prefix = np.concatenate((shared, some(number)))
        endings = [some(size) for size in (1, 3, 0, 5)]
        for one, other in zip(found.endings(prefix, endings), stepped.endings(prefix, endings), strict=True):
            assert_nats(same, one, other)
    assert sum(run) == 1 + len(shared)


@pytest.mark.parametrize("most", [1, 4, 9])
def test_many_endings_are_run_in_parts(most, monkeypatch):
    model = transformer("char")
    rng = np.random.default_rng(2)
    prefix = rng.integers(3, 20, prefix_cache.MOST + prefix_cache.LEAST + 5).astype(np.int32)
    endings = [rng.integers(3, 20, size).astype(np.int32) for size in (1, 4, 0, 7, 1, 2)]
    monkeypatch.setattr(prefix_cache, "PACKED", most)
    asked = model.trunk()
    found = asked.endings(prefix, endings)
    assert [len(some) for some in found] == [len(some) for some in endings]
    for one, other in zip(found, StatePrefixScorer(model).endings(prefix, endings), strict=True):
        assert_nats(model, one, other)
    again = asked.endings(prefix, endings)
    assert all((one == other).all() for one, other in zip(found, again, strict=True))


# Texts beyond the context.


def test_a_prompt_beyond_the_context_is_refused():
    model = transformer("char", context=16)
    fits = Question("a" * 13, ("b", "cat"))
    score(model, fits)
    with pytest.raises(DataError, match=r"f:3: prompt with answer of 17 tokens exceeds the model's context of 16"):
        score(model, Question("a" * 14, ("b", "cat"), place="f:3"))


def test_with_a_window_the_last_tokens_are_seen():
    model = transformer("char", context=16)
    rng = np.random.default_rng(0)
    text = "".join(rng.choice(list("abcdefgh"), 60))
    for size in (15, 16, 17, 40):
        (found,) = score(model, Question(text[:size], ("b", "c")), window=True)
        ids = prompt_encoding.seen(model, text[:size].encode(), window=True)
        logs = model.next(prompt_encoding.state_after(model, ids))
        expected = [logs[model.tokenizer.encode(one)[0]] for one in (b"b", b"c")]
        assert_nats(model, found.nats, expected)
    (longer,) = score(model, Question(text, ("bcd",)), window=True)
    inputs = encode_prompt(model.tokenizer, model.form, (text[-14:] + "bcd").encode())
    whole = model._decoder.whole(inputs[None, :-1])[0]
    expected = model._decoder.head.score(whole[-3:], inputs[-3:]).sum()
    assert_nats(model, longer.nats, [expected])


def test_an_answer_that_no_context_holds_is_refused_in_any_case():
    model = transformer("char", context=16)
    with pytest.raises(DataError, match="an answer of 17 tokens"):
        score(model, Question("", ("a" * 17,)), window=True)
    assert score(model, Question("", ("a" * 16,)))[0].tokens == (16,)


# Odd answers.


@pytest.mark.parametrize("make", [transformer, lstm, RandomModel], ids=lambda make: make.__name__)
def test_odd_answers(make):
    (found,) = score(make("char"), Question("the", ("0", "", "ca", "cat")))
    assert found.tokens == (1, 0, 2, 3)
    assert found.nats[1] == 0.0
    assert found.nats[3] < found.nats[2] < 0.0


def test_a_token_that_spans_the_joint_counts_with_the_answer():
    model = transformer("bpe-byte")
    words = [model.tokenizer.piece(token) for token in range(259, model.tokenizer.size)]
    word = max((word.decode() for word in words if word.isalpha()), key=len)
    question = Question("." + word[0], (word[1:], "é"))
    encoded = candidate_scoring.encode_question(model, question)
    assert encoded.prefix.tolist() == model.tokenizer.encode(b".").tolist()
    assert len(encoded.endings[0]) == 1
    nats, _, size = asked(model, question)
    assert_nats(model, score(model, question)[0].nats, nats, size=size)


def test_no_questions_no_scores():
    assert score(RandomModel("char")) == []
    assert prefix_scorer_of(transformer("char")).endings(np.array([3, 4], np.int32), []) == []


@pytest.mark.parametrize("hands", [2, 3, 8])
def test_threads_change_no_bit(hands):
    model = transformer("char")
    questions = [Question(f"the {word} sat", ("a", "b", "")) for word in ("cat", "dog", "cat", "bird", "mat")]
    alone = dict(score_all(model, [prefix_scorer_of(model)], questions))
    assert dict(score_all(model, [prefix_scorer_of(model) for _ in range(hands)], questions)) == alone
