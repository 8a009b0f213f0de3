"""WordPiece vocabularies: the pieces of Hugging Face's trainer, and a file that encodes as its library does."""

import json

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from lmkit.data.builtin_text import sentences
from lmkit.errors import CheckpointError, DataError
from lmkit.tokenization.formats import vocab_txt
from lmkit.tokenization.tokenizers import ByteTokenizer
from lmkit.tokenization.wordpiece_trainer import ALPHABET, LONGEST_WORD, NAMES, WordCounter, fit

PROSE = [*sentences(), "¡Qué año! Ünïcödé, naïve.", "数学 math", "it's 'quoted' <unk> [MASK] a\tb\u00a0c\x01d"]
LOWER = ("lowercase", "strip-accents")


def counted(text, forms=()):
    counter = WordCounter(forms)
    for line in text:
        counter.add(f"{line}\n".encode())
    return counter.total()


def theirs(text, size, forms):
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=bool(forms), strip_accents=bool(forms))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.train_from_iterator(
        text, trainers.WordPieceTrainer(vocab_size=size, special_tokens=list(NAMES), show_progress=False)
    )
    return made


@pytest.mark.few(1)
@pytest.mark.parametrize("forms", [(), LOWER])
def test_the_pieces_and_ids_of_texts_are_those_of_the_library(forms):
    counts = counted(PROSE, forms)
    made = fit(counts, 1200, forms)
    reference = theirs(PROSE, 1200, forms)
    ours = json.loads(made.json)["model"]["vocab"]
    assert len(ours.keys() & reference.get_vocab().keys()) >= 1195  # merges of equal counts may come in another order
    assert list(ours)[:5] == list(NAMES)
    library = Tokenizer.from_str(made.json.decode())
    for line in (*PROSE[:200], *PROSE[-3:]):
        text = line.replace("[MASK]", "")
        assert made.encode(text.encode()).tolist() == library.encode(text, add_special_tokens=False).ids
    pair = library.encode("it is", "so")
    assert pair.tokens == ["[CLS]", "it", "is", "[SEP]", "so", "[SEP]"]
    assert pair.type_ids == [0, 0, 0, 0, 1, 1]


def test_text_never_becomes_a_special_token_unless_asked():
    made = fit(counted(PROSE), 500, (), special=["[NEW]"])
    assert not set(made.encode(b"[MASK] [CLS] [NEW]").tolist()) & {0, 2, 3, 4, 5}
    assert made.with_specials().encode(b"[MASK] [NEW]").tolist() == [4, 5]
    assert made.specials == {"unk": 1, "bos": 2, "eos": 3}


def test_the_same_text_gives_the_same_bytes_in_any_blocks():
    whole = WordCounter(LOWER)
    whole.add("".join(f"{line}\n" for line in PROSE).encode())
    assert fit(whole.total(), 900, LOWER).json == fit(counted(PROSE, LOWER), 900, LOWER).json


def test_forms_beyond_those_of_bert_are_steps_of_their_own():
    made = fit(counted(["ﬁne É é ﬁne"], ("nfkc", "lowercase")), 14, ("nfkc", "lowercase"))
    assert made.encode("FINE ﬁne".encode()).tolist() == made.encode(b"fine fine").tolist()


def test_words_of_rare_characters_or_too_many_characters_are_unknown():
    letters = [chr(0x4E00 + number) for number in range(ALPHABET + 5)]  # each a word
    made = fit(counted([" ".join(letters), " ".join(letters[5:])]), 5 + ALPHABET, ())
    assert made.encode("".join(letters).encode()).tolist().count(1) == 5
    with pytest.raises(DataError, match="no words to learn from: all are longer than 100 characters"):
        fit(counted(["a" * (LONGEST_WORD + 1)]), 100, ())
    made = fit(counted(["a" * 1_000_000, "ab ab"]), 9, ())
    assert made.encode(b"ab aab " + b"a" * 101).tolist() == [8, 1, 1]


def test_sizes_that_cannot_be_reached_are_refused_with_what_can_be():
    counts = counted(["aba"])
    with pytest.raises(DataError, match="8 can't hold 5 special tokens and 4 characters") as refused:
        fit(counts, 8, ())
    assert refused.value.hint == "--vocab-size 9 or more"
    with pytest.raises(DataError, match="this text has merges for 11"):
        fit(counts, 100, ())


def test_a_vocab_txt_lists_pieces_by_id():
    made = fit(counted(PROSE), 400, ())
    assert vocab_txt.write(made).decode().split("\n")[:6] == [*NAMES, "!"]
    assert vocab_txt.write(made).count(b"\n") == 400
    with pytest.raises(CheckpointError, match="a byte tokenizer is not WordPiece"):
        vocab_txt.write(ByteTokenizer())
