"""--parse-special: names of special tokens in prompts mean the tokens."""

import pytest
from random_models import PROSE
from random_weights import random_weights
from rounding import assert_nats

from lmkit import checkpoint
from lmkit.data.sequences import decode_text, encode_prompt
from lmkit.inference.transformer import TransformerModel
from lmkit.tokenization.bpe.pretoken_counts import Counter
from lmkit.tokenization.bpe.scheme import Scheme
from lmkit.tokenization.bpe.trainer import fit
from lmkit.tokenization.formats import tokenizer_json_writer
from lmkit.tokenization.huggingface_tokenizer import HuggingFaceTokenizer

PROMPT = "<|a|>the cat\n<|b|> sat"


def merges():
    counter = Counter(Scheme())
    counter.add(counter.scan(PROSE))
    return fit(counter.total(), 400, special=[b"<|a|>", b"<|b|>"])


@pytest.fixture(params=["bpe", "huggingface"])
def model(request):
    tokenizer = merges()
    if request.param == "huggingface":
        tokenizer = HuggingFaceTokenizer.from_json(
            tokenizer_json_writer.write(tokenizer), {"unk": "<unk>", "bos": "<s>", "eos": "</s>"}
        )
    weights = random_weights(
        "transformer",
        tokenizer,
        by="stream",
        layers=1,
        width=8,
        heads=2,
        kv_heads=1,
        head_width=4,
        hidden=16,
        context=32,
    )
    return TransformerModel(weights)


def test_names_are_tokens_only_if_asked(model):
    plain, with_specials = model.tokenizer, model.tokenizer.with_specials()
    named = [plain.names[b"<|a|>"], plain.names[b"<|b|>"]]
    text = PROMPT.encode()
    assert not set(named) & set(encode_prompt(plain, model.form, text).tolist())
    ids = encode_prompt(with_specials, model.form, text).tolist()
    assert [token for token in ids if token in named] == named
    assert decode_text(with_specials, model.form, ids) == text
    assert (
        encode_prompt(plain, model.form, b"the cat").tolist()
        == encode_prompt(with_specials, model.form, b"the cat").tolist()
    )


def test_the_token_that_begins_every_text_is_not_there_twice(model):
    start = model.tokenizer.piece(model.form.start)
    ids = [
        encode_prompt(model.tokenizer.with_specials(), model.form, text).tolist() for text in (start + b"cat", b"cat")
    ]
    assert ids[0] == ids[1]


@pytest.fixture
def file(model, write):
    return write("model.lm", b"".join(bytes(piece) for piece in checkpoint.serialize(model.to_checkpoint({}))))


def test_commands_take_names_for_tokens(file, model, lmkit):
    plain = lmkit("next", "-m", file, "--prompt", PROMPT, "--json").records
    named = lmkit("next", "-m", file, "--prompt", PROMPT, "--json", "--parse-special").records
    assert plain != named
    state = model.start()
    for token in encode_prompt(model.tokenizer.with_specials(), model.form, PROMPT.encode()).tolist():
        state = model.advance(state, token)
    assert_nats(model, named[0]["nats"], model.next(state).max())
    done = lmkit("prompt", "answer", "-m", file, "--prompt", PROMPT, "--candidates", "a,b", "--parse-special")
    other = lmkit("prompt", "answer", "-m", file, "--prompt", PROMPT, "--candidates", "a,b")
    assert done.status == other.status == 0
    assert done.records != other.records
    for command in (["sample", "--max-tokens", 5], ["prompt", "tree", "--max-tokens", 2]):
        texts = [lmkit(*command, "-m", file, "--prompt", PROMPT, *more) for more in ([], ["--parse-special"])]
        assert [one.status for one in texts] == [0, 0]


def test_other_models_have_no_such_tokens(shelf, lmkit):
    done = lmkit("next", "-m", shelf["juan.lm"], "--parse-special")
    assert done.status == 2
    assert "--parse-special is for neural models with merges, not for a word tokenizer" in done.stderr
