"""Training word vectors: the same bytes with any threads, compiled code against numpy, what changes."""

import numpy as np
import pytest
from rounding import assert_close

from lmkit.errors import DataError, Diverged, UsageError
from lmkit.word_vectors import exact_losses, trainer
from lmkit.word_vectors.numpy_kernels import Batch, NumpyKernel
from lmkit.word_vectors.sharding import Chunk, Shards
from lmkit.word_vectors.training_plan import (
    FIRST_WORD,
    LINE_END,
    Compiled,
    Compiling,
    Corpus,
    Progress,
    TrainingConfig,
    Vectors,
    initial,
    keep_probabilities,
    noise,
)
from lmkit.word_vectors.update_counts import count_updates


def corpus_of(lines):
    ids = np.array([token for line in lines for token in [*line, 2]], dtype=np.int32)
    counts = np.bincount(ids, minlength=3)
    counts[:3] = 0
    return Corpus(ids, counts)


def random_corpus(words=6_000, vocabulary=50, seed=0):
    generator = np.random.default_rng(seed)
    ids = np.minimum(3 + generator.zipf(1.3, words), vocabulary + 2).astype(np.int32)
    return corpus_of(np.split(ids, np.sort(generator.integers(0, words, words // 12))))


def topics(lines=150, seed=1):
    """Lines of words of one of two topics: 3 to 7, or 8 to 12."""
    generator = np.random.default_rng(seed)
    return corpus_of([generator.integers(3, 8, 10) + 5 * generator.integers(0, 2) for _ in range(lines)])


def trained(corpus, plan, state=None, **how):
    *_, vectors = trainer.train(corpus, plan, state, **how)
    assert isinstance(vectors, Vectors)
    return vectors


@pytest.fixture(params=["compiled", "numpy"])
def either(request, monkeypatch):
    """Both ways to train."""
    if request.param == "numpy":
        monkeypatch.setattr(trainer, "compiled", lambda _plan: False)
    else:
        pytest.importorskip("numba")
    return request.param


SETTINGS = [
    {}, {"architecture": "cbow"}, {"architecture": "cbow", "combine": "sum"}, {"dynamic": False, "negatives": 13},
]  # fmt: skip


@pytest.mark.parametrize("settings", SETTINGS)
def test_any_number_of_threads_gives_the_same_bytes(either, settings):
    plan = TrainingConfig(dim=20, epochs=2, workers=3, chunk=500, **settings)
    first, *others = [trained(random_corpus(), plan, threads=threads) for threads in (1, 2, 3)]
    for other in others:
        assert all((one == two).all() for one, two in zip(first, other, strict=True))
    assert np.isfinite(first.centre).all()
    assert (
        trained(random_corpus(), TrainingConfig(dim=20, epochs=2, workers=3, chunk=500, seed=1)).centre != first.centre
    ).any()


def test_a_stream_in_a_file_is_as_good(either, tmp_path):
    corpus, plan = random_corpus(), TrainingConfig(dim=8, epochs=1)
    corpus.ids.tofile(tmp_path / "ids")
    mapped = corpus._replace(ids=np.memmap(tmp_path / "ids", dtype=np.int32, mode="r"))
    assert (trained(mapped, plan).centre == trained(corpus, plan).centre).all()


def test_without_a_cache_code_is_compiled_all_the_same(monkeypatch):
    pytest.importorskip("numba")
    from lmkit.word_vectors import kernels, numba_kernels

    calls = []

    def full(_kernel):
        if not calls:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(numba_kernels, "without_cache", lambda: calls.append(1))
    monkeypatch.setattr(kernels.CompiledKernel, "_warm_up", full)
    kernels.CompiledKernel(topics(), TrainingConfig()).compile()
    assert calls == [1]


def test_going_on_from_a_state_gives_the_same_bytes(either):
    plan, corpus = TrainingConfig(dim=12, epochs=3, workers=2, chunk=700), random_corpus()
    whole = trained(corpus, plan)
    for event in trainer.train(corpus, plan):
        if isinstance(event, Progress) and event.state.rounds == 3:
            state = event.state._replace(vectors=Vectors(*(part.copy() for part in event.state.vectors)))
    again = trained(corpus, plan, state)
    assert (whole.centre == again.centre).all()
    assert (whole.context == again.context).all()


def apart(centre):
    """How much more alike words of one topic are than any of two, at least."""
    units = centre[3:] / np.linalg.norm(centre[3:], axis=1, keepdims=True)
    cosines = units @ units.T
    return min(cosines[:5, :5].min(), cosines[5:, 5:].min()) - cosines[:5, 5:].max()


@pytest.mark.few(1)
@pytest.mark.parametrize("settings", SETTINGS)
def test_words_of_one_topic_become_alike(either, settings):
    centre = trained(topics(), TrainingConfig(dim=16, epochs=10, sample=0, lr=0.05, **settings)).centre
    assert apart(centre) > 0.1
    assert not centre[:3].any()


@pytest.mark.few(1)
@pytest.mark.parametrize("architecture", ["skipgram", "cbow"])
def test_words_of_one_topic_become_alike_by_softmax(architecture):
    plan = TrainingConfig(dim=16, epochs=10, sample=0, lr=0.05, architecture=architecture, loss="softmax")
    assert apart(trained(topics(), plan).centre) > 0.1


@pytest.mark.few(1)
def test_shared_vectors_learn_too(either):
    assert (
        apart(trained(topics(), TrainingConfig(dim=16, epochs=10, sample=0, lr=0.05), threads=3, hogwild=True).centre)
        > 0.1
    )


def test_events_tell_of_progress(either):
    corpus, plan = topics(), TrainingConfig(dim=8, epochs=2, workers=2, chunk=1000, sample=0)
    events = [event for event in trainer.train(corpus, plan) if not isinstance(event, Compiling | Compiled)]
    steps = events[:-1]
    assert [event.words for event in steps] == sorted({event.words for event in steps})
    assert steps[-1].words == steps[-1].total == 2 * corpus.words
    assert steps[-1].lr == pytest.approx(plan.least_lr)
    assert steps[0].nats > steps[-1].nats > 0


def reference(line, plan, drawn, rate):
    """One word at a time, by the formulas, in double precision."""
    kernel = NumpyKernel(corpus_of([line]), plan)
    vectors = start(len(kernel.keep), plan).astype(np.float64)
    for place in range(len(line)):
        around = [word for other, word in enumerate(line) if other != place and abs(other - place) <= plan.window]
        batch = Batch(*(np.array([part]) for part in (line[place], around, [True] * len(around), drawn)))
        kernel.step(batch, vectors, rate)
    return vectors


def marks(vectors):
    return np.zeros(vectors.shape[:2], dtype=np.uint8)


def start(size, plan):
    generator = np.random.default_rng(5)
    vectors = generator.normal(0, 0.5, (2, size, plan.dim)).astype(np.float32)
    vectors[:, :3] = 0
    return vectors


@pytest.mark.parametrize("negatives", [1, 4, 5, 6, 20])
@pytest.mark.parametrize("settings", [{}, {"architecture": "cbow"}, {"architecture": "cbow", "combine": "sum"}])
def test_compiled_steps_are_the_formulas(settings, negatives):
    pytest.importorskip("numba")
    from lmkit.word_vectors.kernels import CompiledKernel

    plan = TrainingConfig(dim=13, window=3, dynamic=False, negatives=negatives, sample=0, **settings)
    line, drawn = [3, 4, 5, 3, 6, 7, 5, 5, 8], 8
    corpus = corpus_of([line])
    kernel = CompiledKernel(corpus, plan)
    kernel.table = np.full(len(kernel.table), drawn, dtype=np.uint64)  # whatever is asked for, this word is drawn
    vectors = np.zeros((2, len(corpus.counts), kernel.width), dtype=np.float32)
    vectors[:, :, : plan.dim] = start(len(corpus.counts), plan)
    kernel.train(corpus.ids, Chunk(0, len(corpus.ids), (0.1, 0.1), 7), vectors, marks(vectors))
    expected = reference(line, plan, [drawn] * negatives, 0.1)
    assert_close(vectors[:, :, : plan.dim], expected, depth=len(line) * negatives, width=plan.dim)
    assert not vectors[:, :, plan.dim :].any()
    assert not vectors[:, :3].any()


@pytest.mark.parametrize("negatives", [1, 5, 12])
def test_a_pair_changes_its_two_vectors_and_those_of_negatives(negatives):
    generator = np.random.default_rng(negatives)
    corpus, plan = random_corpus(), TrainingConfig(dim=7, negatives=negatives)
    drawn = 5 + generator.permutation(40)[:negatives]
    vectors = start(len(corpus.counts), plan)
    before = vectors.copy()
    NumpyKernel(corpus, plan).step(Batch(*(np.array([part]) for part in (3, [4], [True], drawn))), vectors, 0.025)
    changed = (vectors.view(np.int32) != before.view(np.int32)).any(axis=2)
    assert np.flatnonzero(changed[0]).tolist() == [4]
    assert np.flatnonzero(changed[1]).tolist() == sorted([3, *drawn])
    assert changed.sum() == negatives + 2


@pytest.mark.parametrize("architecture", ["skipgram", "cbow"])
def test_compiled_code_changes_no_other_rows(architecture):
    pytest.importorskip("numba")
    from lmkit.word_vectors.kernels import CompiledKernel

    corpus, plan = random_corpus(), TrainingConfig(dim=8, negatives=5, sample=0, architecture=architecture)
    kernel = CompiledKernel(corpus, plan)
    kernel.table[:] = np.uint64(9)
    vectors = start(len(corpus.counts), plan)
    before, marked = vectors.copy(), marks(vectors)
    kernel.train(np.array([4, 5, 2], dtype=np.int32), Chunk(0, 3, (0.025, 0.025), 1), vectors, marked)
    changed = (vectors.view(np.int32) != before.view(np.int32)).any(axis=2)
    assert [np.flatnonzero(part).tolist() for part in changed] == [[4, 5], [4, 5, 9]]
    assert [np.flatnonzero(part[3:]).tolist() for part in marked] == [[1, 2], [1, 2, 6]]


@pytest.mark.parametrize("replicas", [1, 2, 5])
def test_marked_changes_are_summed_as_all_are(replicas):
    pytest.importorskip("numba")
    from lmkit.word_vectors.kernels import CompiledKernel

    generator, corpus = np.random.default_rng(replicas), random_corpus()
    base = generator.normal(size=(30, 8)).astype(np.float32)
    marked = (generator.random((replicas, 30)) < 0.2).astype(np.uint8)
    moved = base + marked[..., None] * generator.normal(size=(replicas, 30, 8)).astype(np.float32)
    expected = base + min(1, 2 / replicas) * (moved - base).sum(axis=0)
    for kernel in (CompiledKernel(corpus, TrainingConfig(dim=8)), NumpyKernel(corpus, TrainingConfig(dim=8))):
        whole, parts, marks_left = base.copy(), moved.copy(), marked.copy()
        for rows in ((0, 13), (13, 30)):
            kernel.combine(whole, parts, marks_left, *rows)
        assert_close(whole, expected, width=replicas)
        assert (parts == whole).all()
        assert not marks_left.any()


def test_changed_rows_of_a_pair():
    corpus = corpus_of([[5], [3, 4], *([word] for word in range(3, 40))])
    assert count_updates(corpus, TrainingConfig(dim=4, negatives=1, seed=2)) == (1, 2)
    assert count_updates(corpus, TrainingConfig(dim=4, negatives=5, seed=2)) == (1, 6)
    assert count_updates(corpus, TrainingConfig(dim=4, loss="softmax")) == (1, 37)
    with pytest.raises(DataError, match="no line has two words"):
        count_updates(corpus_of([[3], [4]]), TrainingConfig())


def mean_loss(ids, vectors, window):
    """The exact loss of all words, the lines' one after another."""
    centre, context = (part[FIRST_WORD:].astype(np.float64) for part in vectors)
    lines = np.split(ids, np.flatnonzero(ids == LINE_END) + 1)
    words = [line[line >= FIRST_WORD].astype(np.int64) - FIRST_WORD for line in lines]
    total = sum(
        exact_losses.softmax_loss(centre, context, line, window).nats * len(line) for line in words if len(line)
    )
    return total / sum(map(len, words))


def test_the_objective_by_hand_for_two_words():
    centre = np.array([[0, 0]] * 3 + [[1.0, 0], [0.5, 0.5]], dtype=np.float32)
    context = np.array([[0, 0]] * 3 + [[2.0, 1], [-1, 1]], dtype=np.float32)

    def nats(a, b):
        products = context[3:].astype(float) @ centre[b]
        return np.log(np.exp(products).sum()) - products[a - 3]

    expected = (2 * nats(4, 3) + nats(3, 4) + nats(3, 4)) / 4
    ids = np.array([3, 4, 3, 2, 4, 2], dtype=np.int32)
    assert mean_loss(ids, Vectors(centre, context), 1) == pytest.approx(expected, rel=1e-12)


def test_training_with_softmax_lowers_the_objective():
    corpus, plan = topics(100), TrainingConfig(dim=8, loss="softmax", sample=0, epochs=4, lr=0.1)
    begun = mean_loss(corpus.ids, initial(len(corpus.counts), plan).vectors, plan.window)
    assert mean_loss(corpus.ids, trained(corpus, plan), plan.window) < 0.9 * begun


@pytest.mark.parametrize(("length", "workers", "chunk", "epochs"), [(10, 1, 3, 2), (101, 3, 10, 4), (7, 2, 100, 1)])
def test_rounds_read_everything_once_an_epoch(length, workers, chunk, epochs):
    rounds = Shards.of(TrainingConfig(workers=workers, chunk=chunk, epochs=epochs), length, 10)
    read = [place for number in range(len(rounds)) for part in rounds[number] for place in range(part.begin, part.end)]
    assert read == list(range(length)) * epochs
    parts = [part for number in range(len(rounds)) for part in rounds[number]]
    assert len({part.seed for part in parts}) == len(parts)
    assert parts[0].rates[0] == 0.025
    assert parts[-1].rates[1] == pytest.approx(1e-4)


def test_shares_of_words():
    counts = np.array([9, 9, 9, 900, 90, 10, 0])
    kept = keep_probabilities(counts, 0.01)
    assert kept[3] == pytest.approx(np.sqrt(0.01 / 0.9) + 0.01 / 0.9)
    assert kept[[0, 5, 6]].tolist() == [0, 1, 0]
    assert keep_probabilities(counts, 0).tolist() == [0, 0, 0, 1, 1, 1, 0]
    np.testing.assert_allclose(noise(counts, 1), [0, 0, 0, 0.9, 0.09, 0.01, 0])


def test_what_cannot_be_trained_is_refused(either):
    with pytest.raises(DataError, match="fewer than two"):
        trained(corpus_of([[3, 3, 3]]), TrainingConfig())
    with pytest.raises(Diverged, match="too high"):
        trained(random_corpus(), TrainingConfig(dim=4, lr=1e30))
    with pytest.raises(UsageError, match="dim must be at least 1"):
        TrainingConfig(dim=0)
    with pytest.raises(UsageError, match="expected one of sum, mean"):
        TrainingConfig(combine="max")
