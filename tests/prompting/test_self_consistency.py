"""Texts drawn after a prompt, and their vote."""

import re

import numpy as np
from bigrams import BigramModel

from lmkit.data.sequences import TextFormat
from lmkit.generation.filters import Filtering
from lmkit.metrics.answer_extraction import Extractor, Rules
from lmkit.prompting.self_consistency import SelfConsistency, drawing_generator
from lmkit.tokenization.tokenizers import ByteTokenizer


def voters(**filtering):
    tokenizer = ByteTokenizer()
    table = np.log(np.random.default_rng(0).dirichlet(np.ones(tokenizer.size), tokenizer.size))
    model = BigramModel(tokenizer, TextFormat.of("line", tokenizer), table)
    generator = drawing_generator(model, Filtering(**filtering), number=4, most=3, stops=())
    return SelfConsistency(model, generator, Rules(Extractor(re.compile(r"is (\w+)"))), 4, 7)


def test_texts_depend_on_seed_and_key():
    ids = np.zeros(0, np.int32)
    texts = [done.text for done in voters().texts(ids, "a")]
    assert len(set(texts)) > 1
    assert [done.text for done in voters().texts(ids, "a")] == texts
    assert [done.text for done in voters().texts(ids, "b")] != texts
    assert len({done.text for done in voters(temperature=0).texts(ids, "a")}) == 1


def test_the_answer_of_most_texts_wins():
    texts = ["it is Red", "it is blue", "so is red", "who knows"]
    assert voters().fields(texts) == {"answer": "Red", "votes": {"Red": 2, "blue": 1}, "texts": texts}
    assert voters().fields(["none"]) == {"answer": None, "votes": {}, "texts": ["none"]}
