"""Small corpora, and models of them as lmkit makes them; the other side of `oracle`."""

import itertools
import math
import random

import numpy as np
import oracle
from hypothesis import strategies as st

from lmkit.array_storage import Memory
from lmkit.checkpoint import serialize
from lmkit.io.temp_storage import Disk
from lmkit.ngram.backoff_estimation import Settings, estimate, uniform
from lmkit.ngram.backoff_model import NGram
from lmkit.ngram.corpus import count_corpus
from lmkit.ngram.count_file import CountFile
from lmkit.ngram.ngram_lookup import evaluate
from lmkit.tokenization.line_ends import with_line_ends
from lmkit.tokenization.tokenizers import WordLearner

AMPLE = 1 << 40
JUAN = [sentence.split() for sentence in ("yo soy Juan", "Juan yo soy", "yo no salto")]
NORMALISED = (
    "modified-kneser-ney", "kneser-ney", "absolute", "witten-bell", "jelinek-mercer", "katz", "add-k", "mle",
)  # fmt: skip
METHODS = (*NORMALISED, "stupid-backoff")


def corpora(words="abcd", *, most=8, length=7, more=()):
    """Corpora of few words, so that n-grams recur; empty sentences among them."""
    sentence = st.lists(st.sampled_from([*words, *more]), max_size=length)
    return st.lists(sentence, min_size=1, max_size=most)


def zipf(seed=1, sentences=300, types=1000):
    """A corpus large enough that discounts can be estimated: words by a power law, every other one led by the last."""
    draw = random.Random(seed)
    corpus = []
    for _ in range(sentences):
        sentence, at = [], 0
        for _ in range(draw.randrange(1, 12)):
            drawn = int(types ** draw.random()) - 1
            at = (at * 7 + drawn % 5) % types if draw.random() < 0.5 else drawn
            sentence.append(f"w{at}")
        corpus.append(sentence)
    return corpus


def text_of(sentences):
    return "".join(" ".join(sentence) + "\n" for sentence in sentences).encode()


def counted(sentences, order, learner=None, **options):
    options = {"memory": AMPLE, "spill": Memory, **options}
    return count_corpus([text_of(sentences)], learner or WordLearner(), order, **options)


def fitted(sentences, order, method, *, learner=None, threads=1, **settings):
    """A model and the notes on its discounts."""
    done = counted(sentences, order, learner)
    if order == 0:
        estimated = uniform(done.tokenizer.size, open_vocabulary=settings.get("open_vocabulary", True))
    else:
        estimated = estimate(done.counts, Settings(method, threads=threads, **settings))
    config = {"order": order, "smoothing": method, "suffix_closed": True, "alpha": settings.get("alpha", 0.4)}
    return NGram(estimated.tables, done.tokenizer, config), estimated.notes


def model(sentences, order, method="modified-kneser-ney", **settings):
    return fitted(sentences, order, method, **settings)[0]


def number(model):
    """From words to ids."""
    return {name: token for token, name in enumerate(pieces(model))}


def pieces(model):
    return [piece.decode(errors="surrogateescape") for piece in model.tokenizer.vocabulary.pieces()]


def histories(words, longest):
    """Every sequence of up to so many words, `<s>` allowed in front."""
    inner = [word for word in words if word != "<s>"]
    for length in range(longest + 1):
        yield from itertools.product(inner, repeat=length)
        if length:
            yield from (("<s>", *rest) for rest in itertools.product(inner, repeat=length - 1))


def probabilities(model, histories, words):
    """p(w | h) of every history, a row each, and every word, a column each, by table lookup."""
    ids, longest = number(model), len(model.tables) - 1
    histories = [history[len(history) - longest :] if len(history) > longest else history for history in histories]
    rows = np.empty((len(histories), len(words)))
    by_length = {}
    for place, history in enumerate(histories):
        by_length.setdefault(len(history), []).append(place)
    for length, places in by_length.items():
        grams = [[*(ids[word] for word in histories[place]), ids[word]] for place in places for word in words]
        logs = evaluate(model.tables, np.array(grams, dtype=np.int32).reshape(-1, length + 1), model.unseen)
        rows[places] = 10.0 ** logs.reshape(len(places), len(words))
    return rows


def stepped(model, history):
    """p(. | <s> h) over all ids, token by token."""
    ids, state = number(model), model.start()
    for word in history:
        state = model.advance(state, ids[word])
    return np.exp(model.next(state))


def encoded(model, sentences):
    """Ids of sentences with their ends, laid end to end, and where each ends."""
    ids, ends = model.tokenizer.encode_block(text_of(sentences))
    return with_line_ends(ids, ends, 2)


def nats(model, sentences):
    return model.score_many(*encoded(model, sentences))


def log10(value):
    return math.log10(value) if value > 0 else -math.inf


def grams_of(model):
    """log10 p of every listed n-gram, by words."""
    return {gram: value for gram, (value, _) in listed(model).items()}


def listed(model):
    """(log10 p, backoff or None) of every listed n-gram, by words, read off the keys one at a time."""
    names = pieces(model)
    grams = [(name,) for name in names]
    found = {}
    for order, table in enumerate(model.tables, 1):
        if order > 1:
            grams = [(*grams[key >> 32], names[key & 0xFFFFFFFF]) for key in table.key.tolist()]
        backoffs = table.backoff.tolist() if len(table.backoff) else [None] * len(grams)
        found |= dict(zip(grams, zip(table.log10.tolist(), backoffs, strict=True), strict=True))
    return found


# Counts.

MARKED = ("<s>", "</s>", "<unk>")


class TidyDisk(Disk):
    """Closes every file in the end, whatever the writers did."""

    def __init__(self, folder):
        super().__init__(folder)
        self.writers = []

    def writer(self, dtype):
        self.writers.append(super().writer(dtype))
        return self.writers[-1]

    def close(self):
        for writer in self.writers:
            writer._file.close()


def as_words(counts, names):
    """Levels as {tuple of words: count}, and {tuple of words: suffix's words}; checks order and suffixes' ids."""
    grams = [(name,) for name in names]
    found, suffixes = [dict(zip(grams, counts.levels[0].count.tolist(), strict=True))], []
    for level in counts.levels[1:]:
        assert (np.diff(level.key) > 0).all(), "keys must ascend"
        below = grams
        grams = [(*below[key >> 32], names[key & 0xFFFFFFFF]) for key in level.key.tolist()]
        found.append(dict(zip(grams, level.count.tolist(), strict=True)))
        suffixes.append({gram: below[place] for gram, place in zip(grams, level.suffix.tolist(), strict=True)})
    return found, suffixes


def check(counts, names, sentences, order):
    expected = oracle.count(sentences, order)
    found, suffixes = as_words(counts, names)
    assert len(found) == order
    assert found[0] == {(name,): expected[0][(name,)] for name in names}
    assert found[1:] == [dict(level) for level in expected[1:]]
    for level in suffixes:
        assert all(suffix == gram[1:] for gram, suffix in level.items())


def same(one, other):
    """Whether two sets of counts agree, whatever the width of their integers."""
    assert one.order == other.order
    for a, b in zip(one.levels, other.levels, strict=True):
        for left, right in ((a.key, b.key), (a.count, b.count), (a.suffix, b.suffix)):
            np.testing.assert_array_equal(left, right)


def serialized(done, origin=None):
    return b"".join(serialize(CountFile(done.counts, done.tokenizer).to_checkpoint(origin or {})))
