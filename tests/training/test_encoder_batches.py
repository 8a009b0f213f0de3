"""Batches of encoders: what an epoch has, and that the number of a step says all of it."""

import numpy as np
import pytest

from lmkit.data.encoder_corpus import encode
from lmkit.data.encoder_sequences import EncoderFormat
from lmkit.data.masking import IGNORED, Masking
from lmkit.tokenization.huggingface_tokenizer import HuggingFaceTokenizer
from lmkit.tokenization.wordpiece_trainer import NAMES, tokenizer_json
from lmkit.training import encoder_batches
from lmkit.training.encoder_batches import (
    FullSequences,
    MaskedBatches,
    PairExamples,
    StreamExamples,
    TextExamples,
    pieces,
    validation_batches,
)

WORDS = [f"w{number}" for number in range(300)]
TOKENIZER = HuggingFaceTokenizer.from_json(tokenizer_json(NAMES, WORDS, ()), {})
FORM = EncoderFormat.of(TOKENIZER)
MASKING = Masking.of(TOKENIZER, FORM, 0.3, whole_words=False)


def corpus(text):
    return encode(TOKENIZER, [[text.encode()]])[0]


LINES = [WORDS[begin : begin + 1 + begin % 13] for begin in range(0, 280, 3)]
TEXT = corpus("".join(" ".join(line) + "\n" + "\n" * (number % 9 == 8) for number, line in enumerate(LINES)))


def true_sequences(batch):
    """The sequences of a batch without masks."""
    labels = batch.arrays["labels"]
    true = np.where(labels == IGNORED, batch.arrays["inputs"], labels)
    return [row[:length].tolist() for row, length in zip(true, batch.arrays["lengths"].tolist(), strict=True)]


def epoch_of(examples, epoch):
    batches = MaskedBatches(examples, MASKING, 3)
    return [batches.batch(epoch * examples.each + place) for place in range(examples.each)]


def test_a_stream_is_read_once_an_epoch_in_stretches_of_full_length():
    examples = StreamExamples(TEXT, FORM, 4, 12, 3)
    for epoch in (0, 1):
        found = [one for batch in epoch_of(examples, epoch) for one in true_sequences(batch)]
        assert {len(one) for one in found} == {12}
        assert all((one[0], one[-1]) == (2, 3) for one in found)
        different = {tuple(one) for one in found}
        assert len(different) == TEXT.tokens // 10 - 1
        text = " ".join(map(str, TEXT.ids.tolist()))
        assert all(" ".join(map(str, one[1:-1])) in text for one in found)


@pytest.mark.parametrize("by", ["line", "blank-line"])
def test_texts_are_read_once_an_epoch_in_batches_of_as_many_tokens(by):
    examples = TextExamples(TEXT, by, FORM, 4, 12, 3)
    begins, ends = pieces(TEXT.units(by), 10)
    wanted = sorted([2, *TEXT.ids[a:b].tolist(), 3] for a, b in zip(begins, ends, strict=True))
    for epoch in (0, 1):
        batches = epoch_of(examples, epoch)
        assert sorted(one for batch in batches for one in true_sequences(batch)) == wanted
        assert all(abs(batch.tokens - 48) <= 24 for batch in batches)
    assert true_sequences(epoch_of(examples, 0)[0]) != true_sequences(epoch_of(examples, 1)[0])


def test_pairs_are_drawn_anew_in_each_epoch():
    examples = PairExamples(TEXT, FORM, 4, 20, 3)
    found = [batch for epoch in range(6) for batch in epoch_of(examples, epoch)]
    lines = {tuple(FORM.single(TEXT.ids[a:b]).ids[1:-1].tolist()): number
             for number, (a, b) in enumerate(zip(np.append(0, TEXT.ends), TEXT.ends, strict=False))}  # fmt: skip
    follows = np.concatenate([batch.arrays["follows"] for batch in found])
    assert len(follows) == 6 * len(examples)
    assert abs(follows.mean() - 0.5) < 4 * 0.5 / np.sqrt(len(follows))
    for batch in found:
        for ids, right, segments in zip(
            true_sequences(batch), batch.arrays["follows"], batch.arrays["segments"], strict=True
        ):
            assert len(ids) <= 20
            second = ids.index(3) + 1
            assert segments[: len(ids)].tolist() == [0] * second + [1] * (len(ids) - second)
            pair = lines.get(tuple(ids[1 : second - 1])), lines.get(tuple(ids[second:-1]))
            if None not in pair:
                assert (pair[1] == pair[0] + 1) == bool(right)


def test_the_number_of_a_step_says_what_is_in_its_batch():
    examples = TextExamples(TEXT, "line", FORM, 4, 12, 3)
    one, two = MaskedBatches(examples, MASKING, 3), MaskedBatches(examples, MASKING, 3)
    two.batch(99)
    for number in (0, 7, 40):
        first, second = one.batch(number), two.batch(number)
        assert all((first.arrays[name] == second.arrays[name]).all() for name in first.arrays)
        assert first.weight == (first.arrays["labels"] != IGNORED).sum()
        assert first.arrays["share"][0] == np.float32(first.weight / first.tokens)
    stream = StreamExamples(corpus("w1 w2 w3\n"), FORM, 2, 12, 3)
    batches = MaskedBatches(stream, MASKING, 3)
    assert {tuple(one) for number in range(4) for one in true_sequences(batches.batch(number))} == {(2, 6, 7, 8, 3)}
    assert len({batches.batch(number).arrays["labels"].tobytes() for number in range(20)}) > 1


def test_validation_has_one_mask_over_all_of_a_text(monkeypatch):
    monkeypatch.setattr(encoder_batches, "VALIDATION_TOKENS", 50)
    batches = validation_batches(TEXT, "stream", FORM, MASKING, 12, pairs=False)
    assert len(batches) > 3
    assert [token for batch in batches for one in true_sequences(batch) for token in one[1:-1]] == TEXT.ids.tolist()
    again = validation_batches(TEXT, "stream", FORM, MASKING, 12, pairs=False)
    assert all((a.arrays["inputs"] == b.arrays["inputs"]).all() for a, b in zip(batches, again, strict=True))
    pairs = validation_batches(TEXT, "stream", FORM, MASKING, 20, pairs=True)
    assert sum(batch.rows for batch in pairs) == len(PairExamples(TEXT, FORM, 1, 20, 0))


def test_the_largest_batches_have_full_rows():
    batch = FullSequences(3, 10, 0.15, pairs=True).batch(0)
    assert (batch.tokens, batch.weight, batch.arrays["follows"].shape) == (30, 6, (3,))
