"""Special tokens around texts: where tokenizers of other models put them."""

import pytest
from tiny_encoders import tokenizer

from lmkit.data.encoder_sequences import EncoderFormat
from lmkit.errors import CheckpointError
from lmkit.tokenization.huggingface_tokenizer import HuggingFaceTokenizer
from lmkit.tokenization.tokenizers import ByteTokenizer

TEXT = "the cat sat on the mat and the dog ran because it was too wide"


def roberta():
    """Merges of bytes with RoBERTa's special tokens, a mask that takes the space before it."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, show_progress=False, initial_alphabet=alphabet
    )
    made.train_from_iterator([TEXT] * 9, trainer)
    made.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True, normalized=False)])
    made.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return made


def test_texts_with_masks_and_pairs_are_those_of_roberta():
    theirs = roberta()
    ours = HuggingFaceTokenizer.from_json(theirs.to_str().encode(), {})
    form = EncoderFormat.of(ours, separators=2)
    for text in ("the <mask> sat on the<mask> and  <mask>", "", "the cat"):
        ids = ours.with_specials().encode(text.encode())
        assert form.single(ids).ids.tolist() == theirs.encode(text).ids
    pair = form.pair(ours.encode(b"the cat"), ours.encode(b"a dog")).ids.tolist()
    assert pair == theirs.encode("the cat", "a dog").ids


def test_names_that_a_folder_gives_come_first():
    assert EncoderFormat.of(tokenizer(), {"mask_token": "[UNK]"}).mask == 1
    assert EncoderFormat.of(tokenizer(), {"mask_token": "[absent]"}).mask == 4


def test_a_tokenizer_without_special_tokens_has_sentence_marks_and_no_mask():
    form = EncoderFormat.of(ByteTokenizer())
    assert (form.cls, form.sep, form.mask, form.pad) == (1, 2, None, None)
    assert form.special == {1, 2}
    with pytest.raises(CheckpointError, match="no mask token"):
        _ = form.mask_token
