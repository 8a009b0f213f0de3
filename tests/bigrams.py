"""Small models that reach over line ends, written by hand: the next token depends on the one before, whatever it is."""

import numpy as np

from lmkit.checkpoint import Checkpoint
from lmkit.data.sequences import TextFormat, sequences
from lmkit.tokenization import tokenizers
from lmkit.tokenization.tokenizers import ByteTokenizer, CharTokenizer, WordTokenizer
from lmkit.tokenization.vocabulary import NAMES, Vocabulary


class BigramModel:
    """log p(w | v) = table[v, w], (V, V). What it reads it scores `stretch` tokens at a time."""

    kind = "bigram"
    normalised = True

    def __init__(self, tokenizer, form, table, stretch=3):
        self.tokenizer, self.form, self.table, self.stretch = tokenizer, form, table, stretch
        self.signature = {"kind": self.kind, "by": form.by, "version": "0"}

    def start(self):
        return self.form.start

    def advance(self, state, token):
        return token

    def next(self, state):
        return self.table[state]

    def score_many(self, ids, ends):
        before = np.concatenate(([self.form.start], ids[:-1])).astype(np.int64)
        before[ends[(ends < len(ids))]] = self.form.start
        before[:1] = self.form.start
        return self.table[before, ids]

    def read(self, blocks):
        held, ended = [np.zeros(0, np.int32)], [0]
        begin = 0
        for ids, ends in sequences(self.tokenizer, self.form, blocks):
            size = sum(map(len, held))
            held.append(ids)
            ended += (ends + size).tolist()
            ids, places = np.concatenate(held), np.array(sorted(set(ended)))
            while len(ids) - begin > self.stretch:
                yield self._said(ids, places, begin, begin + self.stretch)
                begin += self.stretch
            held = [ids]
        ids, places = np.concatenate(held), np.array(sorted(set(ended)))
        yield self._said(ids, places, begin, len(ids))

    def _said(self, ids, ends, begin, end):
        return ids[begin:end], self.score_many(ids, ends)[begin:end]

    def to_checkpoint(self, origin):
        config = {"text": self.form.to_json()}
        tensors = {**tokenizers.tensors(self.tokenizer), "table": self.table}
        return Checkpoint(self.kind, config, tensors, tokenizers.describe(self.tokenizer), origin)

    @classmethod
    def from_checkpoint(cls, content):
        tokenizer = tokenizers.load(content)
        form = TextFormat.from_json(content.config["text"], tokenizer.size)
        return cls(tokenizer, form, content.array("table", "F64", (tokenizer.size, tokenizer.size)))


def tokenizer_of(kind, pieces=()):
    if kind == "byte":
        return ByteTokenizer()
    vocabulary = Vocabulary.of([*NAMES, *(piece.encode() for piece in pieces)])
    return (CharTokenizer if kind == "char" else WordTokenizer)(vocabulary)


def bigram(tokenizer, by, seed=0, stretch=3):
    """Random probabilities of every token after every token."""
    table = np.random.default_rng(seed).normal(size=(tokenizer.size, tokenizer.size))
    table -= np.log(np.exp(table).sum(axis=1, keepdims=True))
    return BigramModel(tokenizer, TextFormat.of(by, tokenizer), table, stretch)


def stepped(model, ids, ends=()):
    """Nats of tokens one at a time; what lies between `ends` is a sequence of its own."""
    state, nats = model.start(), []
    for place, token in enumerate(ids):
        if place in ends:
            state = model.start()
        nats.append(model.next(state)[token])
        state = model.advance(state, token)
    return np.array(nats)
