"""Tokens of prompts, as models read them and as tokenizers alone part them."""

import pytest

from lmkit.commands.loading.models import open_tokenizer
from lmkit.generation.prompt_encoding import seen
from lmkit.prompting.token_counts import size_in

TEXT = "the cat sat\nthe mat \n\na dog =>"


@pytest.mark.parametrize("name", ["gru-stream.lm", "ffn-documents.lm", "mingru-file.lm"])
def test_a_model_that_reads_on(name, opened):
    model = opened(name)
    assert size_in(model.tokenizer, model.form)(TEXT) == len(seen(model, TEXT.encode())) == len(TEXT)


def test_a_model_that_reads_each_line_by_itself(opened):
    model = opened("witten-bell-3.lm")
    assert size_in(model.tokenizer, model.form)(TEXT) == 8 + 3
    assert size_in(model.tokenizer, model.form)("") == 0


def test_a_tokenizer_alone(lmkit, shelf, work):
    assert lmkit("bpe", "train", "-q", "--vocab-size", "270", shelf["corpus.txt"], "-o", "bpe.lm").status == 0
    tokenizer = open_tokenizer("bpe.lm")
    size = size_in(tokenizer, None)
    lines = TEXT.encode().split(b"\n")
    assert size(TEXT) == sum(len(tokenizer.encode(line)) for line in lines) + len(lines) - 1
    assert size(TEXT) < len(TEXT)
    words = open_tokenizer(str(shelf["witten-bell-3.lm"]))
    assert size_in(words, None)(TEXT) == 8 + 3
