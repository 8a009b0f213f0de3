"""Words made of their n-grams: which these are, which rows they share, and what training does to the rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rounding import assert_close

from lmkit import checkpoint
from lmkit.errors import CheckpointError, DataError
from lmkit.tokenization.vocabulary import NAMES, Vocabulary
from lmkit.word_vectors import trainer
from lmkit.word_vectors.corpus import begin_with
from lmkit.word_vectors.numpy_kernels import Batch, NumpyKernel
from lmkit.word_vectors.sharding import Chunk
from lmkit.word_vectors.subwords import Ngrams, Subwords, hashed
from lmkit.word_vectors.training_plan import Corpus, Parts, Progress, State, TrainingConfig, Vectors, initial
from lmkit.word_vectors.vector_space import VectorSpace
from lmkit.word_vectors.word_similarity import Pair, judge


def fnv(data):
    """32-bit FNV-1a with each byte as a signed number, as fastText has it."""
    value = 2166136261
    for byte in data:
        value ^= byte if byte < 128 else byte | 0xFFFFFF00
        value = value * 16777619 % 2**32
    return value


def ngrams(word, least, most):
    """All of a word, by slices of its characters."""
    marked = f"<{word}>"
    found = [
        marked[a : a + size] for size in range(least, most + 1) for a in range(len(marked) - size + 1)
    ]  # `<` and `>` of their own are none
    return found if least > 1 else found[1 : len(marked) - 1] + found[len(marked) :]


@given(st.lists(st.text("abé日😀\u0301<>\0\u200d", max_size=7), max_size=5), st.integers(1, 4), st.integers(0, 3))
def test_hashes_are_those_of_all_ngrams(words, least, more):
    owners, hashes = hashed([word.encode() for word in words], least, least + more)
    for number, word in enumerate(words):
        expected = sorted(fnv(each.encode()) for each in ngrams(word, least, least + more))
        assert sorted(hashes[owners == number].tolist()) == expected


@pytest.mark.parametrize(
    ("word", "buckets"),
    [
        ("where", [
            167652, 989715, 1526707, 1071586, 420941, 312621, 969176, 121234, 1473420, 1540811, 114991, 1529033,
            1568469, 867498,
        ]),
        ("a\u00f1o", [619538, 721607, 1029883, 1927761, 864957, 1308308]),
        ("\u65e5\u672c", [758587, 1313759, 196157]),
    ],
)  # fmt: skip
def test_buckets_are_those_of_fasttext(word, buckets):
    """By its own get_subwords, with -minn 3 -maxn 6 -bucket 2000000."""
    assert Subwords(3, 6, 2_000_000).of([word.encode()])[1].tolist() == sorted(buckets)


def test_a_bucket_counts_once_in_a_word():
    assert len(Subwords(2, 2, 2_000_000).of([b"banana"])[1]) == len({"<b", "ba", "an", "na", "a>"})
    owners, buckets = Subwords(1, 9, 2).of([b"banana", b"", b"\xf0\x9f\x98\x80"])
    assert set(buckets.tolist()) == {0, 1}
    assert len(set(zip(owners.tolist(), buckets.tolist(), strict=True))) == len(owners)


def test_words_that_are_no_utf8_or_very_long_have_ngrams():
    assert len(hashed([b"\x80\x80a\xff"], 3, 3)[1]) == 2  # `<` with what goes on after it, a, what begins nothing, >
    assert len(hashed([b"x" * 100_000], 3, 6)[1]) == 4 * 100_002 - (2 + 3 + 4 + 5)
    assert [len(part) for part in hashed([], 3, 6)] == [0, 0]


# Rows of words.

WORDS = [b"walk", b"walks", b"walked", b"talk", b"talks", b"talked", b"sun", b"moon"]


def vocabulary_of(words):
    return Vocabulary.of([*NAMES, *words])


def test_each_word_has_its_own_row_and_those_of_its_buckets():
    made = Subwords(3, 4, 100_000).compose(vocabulary_of(WORDS))
    for number, word in enumerate(WORDS):
        own, *others = made.parts.of(np.array([number + 3], dtype=np.int32))[1].tolist()
        assert own == number + 3
        assert made.buckets[np.array(others) - 11].tolist() == made.subwords.of([word])[1].tolist()
    assert made.parts.size == 11 + len(made.buckets)
    assert made.parts.counts(np.arange(3, dtype=np.int32)).tolist() == [0, 0, 0]


@given(st.lists(st.integers(0, 10), max_size=12))
def test_a_vector_is_the_mean_of_its_rows(ids):
    made = Subwords(3, 4, 100_000).compose(vocabulary_of(WORDS))
    table = np.random.default_rng(0).normal(size=(made.parts.size, 5))
    found = made.parts.means(table, np.array(ids, dtype=np.int32))
    for token, vector in zip(ids, found, strict=True):
        rows = made.parts.rows[made.parts.starts[token] : made.parts.starts[token + 1]]
        np.testing.assert_allclose(vector, table[rows].mean(axis=0) if len(rows) else np.zeros(5), atol=1e-14)


def test_words_begin_with_the_vectors_of_a_space():
    """Exactly, whatever the n-grams are, and these come along where they are of the same buckets."""
    vocabulary, plan = vocabulary_of(WORDS), TrainingConfig(dim=6)
    made = Subwords(3, 4, 1000).compose(vocabulary)
    state = initial(11, plan, made.parts.size)
    table = np.random.default_rng(1).normal(size=(8, 6)).astype(np.float32)
    rows = np.concatenate((np.zeros((3, 6), dtype=np.float32), table))
    ngrams = Ngrams(made.subwords, made.buckets[::2], np.full((len(made.buckets[::2]), 6), 0.25, dtype=np.float32))
    assert begin_with(state, vocabulary, VectorSpace(vocabulary, rows, ngrams=ngrams), made) == 8
    assert_close(made.words(state.vectors.centre)[3:], table)
    begun = made.ngrams(state.vectors.centre).rows
    assert (begun[::2] == 0.25).all()
    assert (abs(begun[1::2]) < 1 / 6).all()


# Training.


def corpus_of(lines, parts):
    ids = np.array([token for line in lines for token in [*line, 2]], dtype=np.int32)
    counts = np.bincount(ids, minlength=len(parts.starts) - 1)
    counts[:3] = 0
    return Corpus(ids, counts, parts)


def random_parts(words, ngrams, seed=3):
    """Each word has its own row and some of several n-grams."""
    generator = np.random.default_rng(seed)
    rows = [[word, *(words + generator.permutation(ngrams)[: generator.integers(0, 6)])] for word in range(3, words)]
    starts = np.cumsum([0, 0, 0, 0, *map(len, rows)])
    return Parts(starts, np.concatenate(rows).astype(np.int32), words + ngrams)


def random_corpus(words=6_000, vocabulary=50):
    generator = np.random.default_rng(0)
    ids = np.minimum(3 + generator.zipf(1.3, words), vocabulary + 2).astype(np.int32)
    lines = np.split(ids, np.sort(generator.integers(0, words, words // 12)))
    return corpus_of(lines, random_parts(vocabulary + 3, 20))


def start(corpus, plan):
    generator = np.random.default_rng(5)
    vectors = [
        generator.normal(0, 0.5, (size, plan.dim)).astype(np.float32) for size in (corpus.rows, len(corpus.counts))
    ]
    for table in vectors:
        table[:3] = 0
    return vectors


@pytest.fixture(params=["compiled", "numpy"])
def either(request, monkeypatch):
    """Both ways to train."""
    if request.param == "numpy":
        monkeypatch.setattr(trainer, "compiled", lambda _plan: False)
    else:
        pytest.importorskip("numba")
    return request.param


WAYS = [{}, {"architecture": "cbow"}, {"architecture": "cbow", "combine": "sum"}]


@pytest.mark.parametrize("settings", WAYS)
@pytest.mark.parametrize("negatives", [1, 5, 20])
def test_compiled_steps_change_each_row_by_what_the_mean_changes(settings, negatives):
    """A word is taken up when it comes within reach, changes as a row would, and hands on the change when it leaves."""
    pytest.importorskip("numba")
    from lmkit.word_vectors.kernels import CompiledKernel

    plan = TrainingConfig(dim=13, window=2, dynamic=False, negatives=negatives, sample=0, **settings)
    line, drawn, rate = [3, 4, 5, 3, 6, 7, 5, 5, 8], 8, 0.1
    corpus = corpus_of([line], random_parts(9, 5))
    kernel = CompiledKernel(corpus, plan)
    kernel.table = np.full(len(kernel.table), drawn, dtype=np.uint64)
    begun = start(corpus, plan)
    tables = [np.zeros((len(table), kernel.width), dtype=np.float32) for table in begun]
    for table, rows in zip(tables, begun, strict=True):
        table[:, : plan.dim] = rows
    changed = [np.zeros(len(table), dtype=np.uint8) for table in tables]
    kernel.train(corpus.ids, Chunk(0, len(corpus.ids), (rate, rate), 7), tables, changed)
    for table, old, marks in zip(tables, begun, changed, strict=True):
        np.testing.assert_array_equal(table[marks == 0, : plan.dim], old[marks == 0])

    rows, context = (table.astype(np.float64) for table in begun)
    plain = NumpyKernel(Corpus(corpus.ids, corpus.counts), plan)
    held, taken = np.zeros((len(line), plan.dim)), np.zeros((len(line), plan.dim))
    for place in range(-plan.window, len(line) + plan.window + 1):
        last, first = place - plan.window - 1, place + plan.window
        if 0 <= last < len(line):
            for row in corpus.parts.of(np.array([line[last]]))[1]:
                rows[row] += held[last] - taken[last]
        if 0 <= first < len(line):
            held[first] = taken[first] = corpus.parts.means(rows, np.array([line[first]]))[0]
        if 0 <= place < len(line):
            around = [at for at in range(len(line)) if at != place and abs(at - place) <= plan.window]
            batch = Batch(
                *(np.array([part]) for part in (line[place], around, [True] * len(around), [drawn] * negatives))
            )
            plain.step(batch, (held, context), rate)
    assert_close(tables[0][:, : plan.dim], rows, depth=len(line), width=plan.dim)
    assert_close(tables[1][:, : plan.dim], context, depth=len(line) * negatives, width=plan.dim)
    assert not any(table[:, plan.dim :].any() or table[:3].any() for table in tables)


@pytest.mark.parametrize("settings", [*WAYS, {"loss": "softmax"}, {"loss": "softmax", "architecture": "cbow"}])
def test_steps_in_numpy_change_each_row_by_what_the_means_change(settings):
    plan, parts = TrainingConfig(dim=7, negatives=3, **settings), random_parts(9, 5)
    corpus = corpus_of([[3, 4, 5, 6, 7, 8]], parts)
    rows, context = (table.astype(np.float64) for table in start(corpus, plan))
    means = parts.means(rows, np.arange(9, dtype=np.int32))
    drawn = np.array([[8, 3, 4], [8, 8, 5]], dtype=np.int32)
    there = np.array([[True, True, True], [True, False, True]])
    batch = Batch(np.array([3, 6]), np.array([[4, 5, 4], [7, 3, 5]]), there, drawn)
    expected, changed, same = rows.copy(), means.copy(), context.copy()
    found = NumpyKernel(Corpus(corpus.ids, corpus.counts), plan).step(batch, (changed, same), 0.1)
    for word in range(3, 9):
        for row in parts.of(np.array([word]))[1]:
            expected[row] += changed[word] - means[word]
    assert NumpyKernel(corpus, plan).step(batch, (rows, context), 0.1).tolist() == pytest.approx(found.tolist())
    np.testing.assert_allclose(rows, expected, atol=1e-12)
    np.testing.assert_allclose(context, same, atol=1e-12)


def trained(corpus, plan, state=None, **how):
    *_, vectors = trainer.train(corpus, plan, state, **how)
    return vectors


@pytest.mark.parametrize("settings", WAYS)
def test_any_number_of_threads_gives_the_same_bytes(either, settings):
    plan = TrainingConfig(dim=20, epochs=2, workers=3, chunk=500, **settings)
    first, *others = [trained(random_corpus(), plan, threads=threads) for threads in (1, 3)]
    assert all((one == two).all() for other in others for one, two in zip(first, other, strict=True))
    assert [len(table) for table in first] == [73, 53]
    assert np.isfinite(first.centre).all()


def test_going_on_from_a_state_gives_the_same_bytes(either):
    plan, corpus = TrainingConfig(dim=12, epochs=3, workers=2, chunk=700), random_corpus()
    whole = trained(corpus, plan)
    for event in trainer.train(corpus, plan):
        if isinstance(event, Progress) and event.state.rounds == 3:
            state = State(Vectors(*(part.copy() for part in event.state.vectors)), 3)
    assert all((one == two).all() for one, two in zip(whole, trained(corpus, plan, state), strict=True))


@pytest.mark.few(1)
@pytest.mark.parametrize("how", [{}, pytest.param({"hogwild": True, "threads": 2}, marks=pytest.mark.slow)])
@pytest.mark.parametrize("settings", WAYS)
def test_unknown_words_are_like_those_that_look_like_them(either, settings, how):
    """Two topics whose words have stems of their own."""
    generator = np.random.default_rng(1)
    words = [stem + end for stem in (b"lodur", b"miski") for end in (b"a", b"on", b"ive", b"em", b"ust")]
    made = Subwords(3, 5, 2_000_000).compose(vocabulary_of(words))
    lines = [generator.integers(3, 8, 10) + 5 * generator.integers(0, 2) for _ in range(150)]
    vectors = trained(
        corpus_of(lines, made.parts), TrainingConfig(dim=16, epochs=8, sample=0, lr=0.05, **settings), **how
    )
    space = VectorSpace(vocabulary_of(words), made.words(vectors.centre), ngrams=made.ngrams(vectors.centre))
    for word, topic in ((b"lodurest", words[:5]), (b"miskiest", words[5:])):
        asked = space.ask([word])
        assert (asked.ids, asked.made) == ([-1], [word])
        (near,) = space.similar(asked.ids, 5, vectors=asked.vectors)
        assert {space.tokenizer.piece(each.token) for each in near} == set(topic)


# Spaces.


def space_of():
    """Of two words, whose vectors say nothing of their n-grams."""
    made = Subwords(3, 3, 50_000).compose(vocabulary_of([b"abc", b"bcd"]))
    rows = np.arange(3.0 * len(made.buckets)).reshape(-1, 3).astype(np.float32) + 1
    centre = np.array([[0, 0, 0]] * 3 + [[1, 0, 0], [0, 1, 0]], dtype=np.float32)
    return VectorSpace(vocabulary_of([b"abc", b"bcd"]), centre, ngrams=Ngrams(made.subwords, made.buckets, rows))


def test_unknown_words_are_means_of_the_ngrams_that_were_learned():
    space = space_of()
    places = np.searchsorted(space.ngrams.buckets, [fnv(b"<ab") % 50_000, fnv(b"abc") % 50_000])
    np.testing.assert_allclose(space.vector_of(b"abcxyz"), space.ngrams.rows[places].mean(axis=0))
    assert space.vector_of(b"abc").tolist() == [1, 0, 0]
    for word in (b"", b"x", b"xyzzy", b"<unk>", b"</s>", b"\0\0\0"):
        assert space.vector_of(word) is None
    with pytest.raises(DataError, match=r"no vector for 'xyzzy', 'x'$"):
        space.ask([b"abcd", b"xyzzy", b"x"])
    assert [*space.made(b"abc <s> abcd xyzzy\tabcd")] == [1, 3]


def test_made_words_are_asked_for_like_others():
    space = space_of()
    asked = space.ask([b"abcd", b"abc"])
    assert (asked.ids, asked.made) == ([-1, 3], [b"abcd"])
    (first, second) = space.similar(asked.ids, 5, vectors=asked.vectors)
    assert ({each.token for each in first}, {each.token for each in second}) == ({3, 4}, {4})
    for multiply in (False, True):
        found = space.analogy(asked.ids[:1], asked.ids[1:], 5, vectors=asked.vectors, multiply=multiply)
        assert [each.token for each in found] == [4]


def test_pairs_of_made_words_are_judged_too():
    pairs = [Pair(b"abc", b"bcd", 1.0), Pair(b"abc", b"abcd", 2.0), Pair(b"abc", b"xyzzy", 3.0)]
    found = judge(space_of(), pairs)
    assert (found.pairs, found.unknown, found.spearman, list(found.made)) == (2, 1, 1.0, [b"abcd"])
    assert judge(space_of(), pairs, limit=1).pairs == 1  # the other word is left out, not made


def test_ngrams_survive_their_checkpoint_and_damage_is_told():
    whole = space_of().to_checkpoint({})
    data = b"".join(checkpoint.serialize(whole))
    again = VectorSpace.from_checkpoint(checkpoint.parse(memoryview(data)))
    assert again.vector_of(b"abcd").tolist() == space_of().vector_of(b"abcd").tolist()
    assert whole.config | {"subwords": [3, 3], "buckets": 50_000, "ngrams": 6} == whole.config
    damages = [
        {"config": {**whole.config, "subwords": bad}} for bad in (None, [3], [3, 2], [0, 3], ["3", 4], [True, 4])
    ] + [{"config": {**whole.config, "buckets": bad}} for bad in (None, 0, 2**31, 10)]
    buckets, rows = whole.tensors["ngram_buckets"], whole.tensors["ngrams"]
    damages += [
        {"tensors": {**whole.tensors, **bad}}
        for bad in ({"ngram_buckets": buckets[::-1]}, {"ngrams": rows[1:]}, {"ngrams": rows[:, 1:]})
    ]
    for damage in damages:
        with pytest.raises(CheckpointError, match="damaged checkpoint"):
            VectorSpace.from_checkpoint(checkpoint.Checkpoint(**{**whole.__dict__, **damage}))
