"""Tokenizers of other tools, trained here and compared with those tools id by id."""

import base64
import json
import operator
import random
import subprocess
import sys
import tempfile
from functools import cache, reduce
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmkit.data.builtin_text import sentences
from lmkit.errors import LmkitError
from lmkit.tokenization.bpe.byte_characters import BYTE_TO_CHARACTER, CHARACTER_TO_BYTE
from lmkit.tokenization.bpe.encoding import Options
from lmkit.tokenization.bpe.scheme import Scheme
from lmkit.tokenization.bpe.tokenizer import BPETokenizer
from lmkit.tokenization.formats import (
    gpt2,
    protobuf,
    sentencepiece,
    subword_nmt,
    tiktoken,
    tokenizer_json,
    tokenizer_json_writer,
)
from lmkit.tokenization.formats.detection import FORMATS, detect
from lmkit.tokenization.huggingface_tokenizer import HuggingFaceTokenizer
from lmkit.tokenization.vocabulary import NAMES, SPECIALS, Vocabulary

tokenizers = pytest.importorskip("tokenizers")
P, N, D = tokenizers.pre_tokenizers, tokenizers.normalizers, tokenizers.decoders

ACCENTS = "¿Cómo está el niño? ¡Qué ilusión! Él dijo: «mañana», 1234567 veces… it's, IT'S they'll  x\t\ty"
PROSE = [*list(sentences())[:700], *[ACCENTS] * 4]
# Characters that are classed and folded alike in every version of Unicode that may meet here.
odd_text = st.text(
    st.one_of(
        st.sampled_from(list("aeiou tsSdm\0'\u201912\r\t \u00a0\u2028\u3000ñÑé\u017fİΣß½²Ⅷ中日😀e\u0301<|>_")),
        st.characters(max_codepoint=0x24FF, exclude_categories=["Cs", "Cn", "Lm"], exclude_characters="\n"),
    ),
    max_size=24,
)
quick = settings(max_examples=60)
NATIVE = {
    "gpt2": (None, None, "gpt2", 3),
    "gpt2-nfc": (None, N.NFC(), "gpt2", 3),
    "gpt2-folded": (None, N.Sequence([N.NFKC(), N.Lowercase()]), "gpt2", 3),
    "gpt4": (tokenizer_json.GPT4 % r"\p{N}{1,3}", None, "gpt4", 3),
    "gpt4-1": (tokenizer_json.GPT4 % r"\p{N}", N.NFC(), "gpt4", 1),
    "whitespace": (tokenizer_json.WHITESPACE, None, "whitespace", 3),
    "own": (r"\p{Lu}?\p{Ll}+|\p{N}|.", None, r"\p{Lu}?\p{Ll}+|\p{N}|.", 3),
}


@cache
def trained(name, size=700):
    """A byte-level tokenizer of the library, trained on prose."""
    split, normalizer, _, _ = NATIVE[name]
    library = tokenizers.Tokenizer(tokenizers.models.BPE())
    if normalizer is not None:
        library.normalizer = normalizer
    plain = P.ByteLevel(add_prefix_space=False, use_regex=split is None)
    library.pre_tokenizer = (
        plain if split is None else P.Sequence([P.Split(tokenizers.Regex(split), "isolated"), plain])
    )
    library.decoder = D.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=P.ByteLevel.alphabet(), special_tokens=["<|endoftext|>"], show_progress=False
    )
    library.train_from_iterator(PROSE, trainer)
    library.add_special_tokens(["<|user|>", "<|endoftext|>"])
    return library


def ids_of(library, text):
    return library.encode(text, add_special_tokens=False).ids


def plainly(library):
    """The same tokenizer, reading no special tokens from text."""
    copy = tokenizers.Tokenizer.from_str(library.to_str())
    copy.encode_special_tokens = True
    return copy


@cache
def imported(name):
    return plainly(trained(name)), tokenizer_json.read(trained(name).to_str().encode())


def changed(name="gpt2", **changes):
    """A trained tokenizer.json with some of its parts changed."""
    return json.dumps({**json.loads(trained(name).to_str()), **changes}).encode()


def test_the_visible_characters_are_those_of_the_library():
    assert sorted(BYTE_TO_CHARACTER) == sorted(P.ByteLevel.alphabet())
    level = P.ByteLevel(add_prefix_space=False, use_regex=False)
    for point in range(0x100):
        visible = level.pre_tokenize_str(chr(point))[0][0]
        assert bytes(CHARACTER_TO_BYTE[character] for character in visible) == chr(point).encode()


# tokenizer.json.


@pytest.mark.few(1)
@pytest.mark.parametrize("name", NATIVE)
def test_byte_level_json_is_native_and_gives_the_same_ids(name):
    library, own = imported(name)
    assert (own.kind, own.scheme.pattern, own.scheme.digits) == ("bpe", *NATIVE[name][2:])
    assert own.size == library.get_vocab_size()
    assert own.specials == {"bos": 0, "eos": 0}
    assert own.names == {b"<|endoftext|>": 0, b"<|user|>": own.size - 1}
    for line in PROSE:
        assert own.encode(line.encode()).tolist() == ids_of(library, line)


@pytest.mark.few(2)
@pytest.mark.parametrize("name", NATIVE)
@quick
@given(odd_text)
def test_any_text_gives_the_same_ids_and_comes_back(name, text):
    library, own = imported(name)
    ids = own.encode(text.encode()).tolist()
    assert ids == ids_of(library, text)
    assert own.decode(ids).decode() == library.decode(ids, skip_special_tokens=False)


@pytest.mark.parametrize("name", ["gpt2", "gpt4"])
@quick
@given(st.lists(st.one_of(odd_text, st.sampled_from(["<|endoftext|>", "<|user|>", "\n", "\n\n"])), max_size=5))
def test_special_tokens_are_found_when_asked(name, parts):
    text = "".join(parts)
    own = imported(name)[1]
    encoder = own.encoder(Options(lines=False, parse=own.names))
    assert encoder.encode(encoder.scan(text.encode()))[0].tolist() == ids_of(trained(name), text)


@pytest.mark.few(1)
@pytest.mark.parametrize("name", ["gpt2", "gpt4"])
def test_whole_pieces_first_where_the_file_says_so(name):
    document = json.loads(trained(name).to_str())
    document["model"]["ignore_merges"] = True
    for piece in ("Ġniño", "Ġmañana"):  # only there to be looked up
        visible = "".join(BYTE_TO_CHARACTER[byte] for byte in piece.replace("Ġ", " ").encode())
        document["model"]["vocab"].setdefault(visible, len(document["model"]["vocab"]))
    document["added_tokens"] = document["added_tokens"][:1]
    data = json.dumps(document)
    own, library = tokenizer_json.read(data.encode()), plainly(tokenizers.Tokenizer.from_str(data))
    assert own.kind == "bpe"
    assert own.scheme.whole_first
    for line in PROSE:
        assert own.encode(line.encode()).tolist() == ids_of(library, line)
    assert own.encode_block(b"a\n\nb\n")[1].tolist() == [1, 1, 2]


FOREIGN = {
    "prefix": {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True}},
    "digits": {
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Digits", "individual_digits": True},
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
            ],
        }
    },
    "strip": {"normalizer": {"type": "Strip", "strip_left": True, "strip_right": True}},
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_lmkit_does_not_do_is_served_by_the_library(name):
    data = changed(**FOREIGN[name])
    served = tokenizer_json.read(data)
    assert isinstance(served, HuggingFaceTokenizer)
    assert tokenizer_json.why_foreign(data).startswith("its ")
    library = plainly(tokenizers.Tokenizer.from_str(data.decode()))
    lines = [*PROSE[:50], "", " a  b1234", "<|endoftext|>"]
    ids, ends = served.encode_block("".join(line + "\n" for line in lines).encode())
    expected = [ids_of(library, line) for line in lines]
    assert ids.tolist() == reduce(operator.iadd, expected, [])
    assert ends.tolist() == [sum(map(len, expected[: place + 1])) for place in range(len(lines))]
    assert served.decode(expected[0]).decode() == library.decode(expected[0])
    assert tokenizer_json_writer.write(served) == data


def word_piece():
    model = tokenizers.models.WordPiece({"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "un": 3, "##real": 4}, unk_token="[UNK]")
    library = tokenizers.Tokenizer(model)
    library.pre_tokenizer = P.Whitespace()
    library.decoder = D.WordPiece()
    library.add_special_tokens(["[CLS]", "[SEP]"])
    library.post_processor = tokenizers.processors.TemplateProcessing("[CLS] $A", None, [("[CLS]", 1)])
    library.enable_truncation(2)
    return library.to_str().encode()


def test_word_pieces_and_no_template_no_truncation():
    served = tokenizer_json.read(word_piece())
    assert served.specials == {"unk": 0, "bos": 1, "eos": 2}
    assert served.encode(b"unreal un real").tolist() == [3, 4, 3, 0]
    assert served.decode([3, 4, 3]) == b"unreal un"
    assert [served.piece(token) for token in (0, 4)] == [served.written(token) for token in (0, 4)]
    assert served.written(4) == b"##real"
    with pytest.raises(LmkitError, match="no token has the id 9"):
        served.decode([3, 9])
    assert 1 not in served.encode(b"[CLS]").tolist()
    encoder = served.encoder(Options(parse=served.names))
    assert encoder.encode(encoder.scan(b"[CLS] un\n"))[0].tolist() == [1, 3]


def test_what_the_library_fails_on_is_one_line():
    document = json.loads(word_piece())
    document["model"]["unk_token"] = "[NONE]"
    served = tokenizer_json.read(json.dumps(document).encode())
    assert served.encode(b"unreal").tolist() == [3, 4]
    with pytest.raises(LmkitError, match="can't encode with this file"):
        served.encode(b"zebra")


def test_roles_from_a_tokenizer_config():
    config = b'{"bos_token": {"content": "<|user|>"}, "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}'
    own = tokenizer_json.read(trained("gpt2").to_str().encode(), config)
    assert own.specials == {"bos": own.size - 1, "eos": 0}


# Exports.


def exported(own):
    return plainly(tokenizers.Tokenizer.from_str(tokenizer_json_writer.write(own).decode()))


@pytest.mark.few(3)
@pytest.mark.parametrize("name", NATIVE)
@quick
@given(odd_text)
def test_an_exported_json_gives_the_same_ids_and_text(name, text):
    own = imported(name)[1]
    library = again(name)
    ids = own.encode(text.encode()).tolist()
    assert ids_of(library, text) == ids
    assert library.decode(ids, skip_special_tokens=False) == own.decode(ids).decode()


@cache
def again(name):
    return exported(imported(name)[1])


def of_characters(*, fused, mark="</w>"):
    """A small tokenizer of words' characters."""
    end = [b" "] if mark and not fused else []
    letters = "abcdeñ"
    pieces = [*NAMES, *(letter.encode() for letter in letters), *end]
    if fused:
        pieces += [letter.encode() + b" " for letter in letters]
    rows = []
    last = b"b " if fused else b"b"
    for left, right in [(b"a", last), (b"c", b"d"), (b"cd", b"cd"), *([(b"ab", b" ")] if end else [])]:
        pieces.append(left + right)
        rows.append([pieces.index(part) for part in (left, right, left + right)])
    import numpy as np

    scheme = Scheme(level="char", pattern="whitespace", end_of_word=mark, fused=fused)
    names = {name: number for number, name in enumerate(NAMES)}
    return BPETokenizer(Vocabulary.of(pieces), np.array(rows, dtype=np.int32), scheme, names, SPECIALS)


@pytest.mark.parametrize(("fused", "mark"), [(True, "</w>"), (False, "</w>"), (False, "")])
@quick
@given(st.text("abcdñ \t\r\0\u00a0x<", max_size=20))
def test_words_of_characters_are_exported_with_each_kind_of_mark(fused, mark, text):
    own = of_characters(fused=fused, mark=mark)
    library = exported(own)
    ids = own.encode(text.encode()).tolist()
    assert ids_of(library, text) == ids
    assert library.decode(ids, skip_special_tokens=False) == own.decode(ids).decode()


def test_gpt2_files_and_back():
    own = imported("gpt2")[1]
    vocabulary, merges = gpt2.write(own)
    again = gpt2.read(gpt2.read_vocabulary(vocabulary), gpt2.read_pairs(merges)[1])
    assert again.digest == own.digest
    with pytest.raises(LmkitError, match="normalisation"):
        gpt2.write(imported("gpt2-nfc")[1])


def test_gpt2_files_as_the_library_writes_them(tmp_path):
    trained("gpt2").model.save(str(tmp_path))
    vocabulary, merges = ((tmp_path / name).read_bytes() for name in ("vocab.json", "merges.txt"))
    own = gpt2.read(gpt2.read_vocabulary(vocabulary), gpt2.read_pairs(merges)[1])
    library = plainly(trained("gpt2"))
    for line in PROSE:
        assert own.encode(line.encode()).tolist() == ids_of(library, line)


# tiktoken.


def ranks_file(ranks):
    return b"".join(b"%s %d\n" % (base64.b64encode(token), rank) for token, rank in ranks.items())


@pytest.mark.few(8)
@pytest.mark.parametrize("seed", range(25))
def test_any_ranks_merge_as_in_tiktoken(seed):
    real = pytest.importorskip("tiktoken")
    chance = random.Random(seed)
    tokens = [bytes([byte]) for byte in range(256)]
    tokens += {bytes(chance.choices(b"abc ", k=chance.randrange(2, 8))) for _ in range(60)}
    order = list(range(len(tokens) + 50))
    chance.shuffle(order)
    ranks = dict(zip(tokens, order, strict=False))
    data = ranks_file(ranks)
    own = tiktoken.read(tiktoken.read_ranks(data), "gpt2")
    theirs = real.Encoding("x", pat_str=tokenizer_json.GPT2, mergeable_ranks=ranks, special_tokens={})
    for _ in range(60):
        text = "".join(chance.choices("abc ", k=chance.randrange(30)))
        assert own.encode(text.encode()).tolist() == theirs.encode_ordinary(text)
    assert tiktoken.write(own) == data or tiktoken.read_ranks(tiktoken.write(own)) == ranks


@pytest.mark.parametrize("name", ["gpt2", "gpt4"])
def test_exported_ranks_give_the_same_ids_in_tiktoken(name):
    real = pytest.importorskip("tiktoken")
    own = imported(name)[1]
    ranks = tiktoken.read_ranks(tiktoken.write(own))
    assert min(ranks.values()) == 1  # id 0 is a special token
    pattern = tokenizer_json_writer.expression(own.scheme)
    theirs = real.Encoding("x", pat_str=pattern, mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 0})
    for line in PROSE:
        assert theirs.encode_ordinary(line) == own.encode(line.encode()).tolist()


def test_ranks_in_another_order_than_the_merges_are_refused():
    own = imported("gpt2")[1]
    swapped = BPETokenizer(own.vocabulary, own.merges.pairs[::-1].copy(), own.scheme, own.names, own.specials)
    with pytest.raises(LmkitError, match="order of ids"):
        tiktoken.write(swapped)


# subword-nmt.


@pytest.mark.slow
def test_subword_nmt_codes_part_words_alike(tmp_path):
    pytest.importorskip("subword_nmt")
    from subword_nmt.apply_bpe import BPE
    from subword_nmt.learn_bpe import learn_bpe

    text = "".join(line + "\n" for line in PROSE)
    with (tmp_path / "codes").open("w+", encoding="utf-8") as codes:
        learn_bpe(text.splitlines(keepends=True), codes, 150)
        codes.seek(0)
        theirs = BPE(codes)
    data = (tmp_path / "codes").read_bytes()
    own = subword_nmt.read(data)
    for line in PROSE:
        line = line.replace("\t", " ")
        assert joined_with_at(own, line) == theirs.process_line(line).split()
    assert subword_nmt.write(own) == data
    library = exported(own)
    assert all(ids_of(library, line) == own.encode(line.encode()).tolist() for line in PROSE)


def joined_with_at(own, line):
    """Our pieces as subword-nmt writes them; what is unknown from the text."""
    result = []
    for word in line.split():
        pieces = [own.piece(token).decode() for token in own.encode(word.encode()).tolist()]
        left = word
        for place, piece in enumerate(pieces):
            spelled = left[0] if piece == "<unk>" else piece.rstrip(" ")
            left = left[len(spelled) :]
            result.append(spelled + ("@@" if place < len(pieces) - 1 else ""))
    return result


def test_the_first_version_of_codes_keeps_the_mark_apart():
    own = subword_nmt.read("t h\nth e\nthe </w>\nñ </w>\n".encode())
    assert not own.scheme.fused
    pieces = [own.piece(token) for token in own.encode("the then ñ".encode()).tolist()]
    assert pieces == [b"the ", b"the", b"<unk>", b" ", "ñ ".encode()]


# SentencePiece.


SENTENCEPIECE = {
    "bpe": {},
    "bpe-bytes": {"byte_fallback": True},
    "bpe-identity": {"normalization_rule_name": "identity", "byte_fallback": True},
    "bpe-spaces": {
        "normalization_rule_name": "identity", "remove_extra_whitespaces": False, "allow_whitespace_only_pieces": True,
        "split_by_whitespace": False,
    },
    "bpe-user": {"user_defined_symbols": ["<x>", "①", "<sep>"], "add_dummy_prefix": False},
    "unigram": {"model_type": "unigram"},
    "unigram-user": {
        "model_type": "unigram", "user_defined_symbols": ["<x>", "①"], "control_symbols": ["<cls>"],
        "byte_fallback": True, "normalization_rule_name": "identity",
    },
    "char": {"model_type": "char", "user_defined_symbols": ["<x>"], "vocab_size": 60},
}  # fmt: skip


@cache
def sentencepiece_model(name):
    real = pytest.importorskip("sentencepiece")
    options = {"model_type": "bpe", "vocab_size": 420, "hard_vocab_limit": False, **SENTENCEPIECE[name]}
    with tempfile.TemporaryDirectory() as folder:
        stem = Path(folder) / "m"
        real.SentencePieceTrainer.train(
            sentence_iterator=iter(PROSE), model_prefix=str(stem), minloglevel=2, num_threads=1, **options
        )
        return stem.with_suffix(".model").read_bytes()


@cache
def both(name):
    real = pytest.importorskip("sentencepiece")
    data = sentencepiece_model(name)
    return real.SentencePieceProcessor(model_proto=data), sentencepiece.read(data)


@pytest.mark.few(3)
@pytest.mark.parametrize("name", SENTENCEPIECE)
def test_sentencepiece_models_give_the_same_ids(name):
    theirs, own = both(name)
    assert own.size == theirs.get_piece_size()
    assert own.specials == {"unk": 0, "bos": 1, "eos": 2}
    for line in PROSE:
        ids = theirs.encode(line)
        assert own.encode(line.encode()).tolist() == ids
        assert own.decode(ids).decode().replace("<unk>", " ⁇ ") == theirs.decode(ids)


SNIPPETS = ["<x>", "<s>", "</s>", "<unk>", "<cls>", "<sep>", "<0x0A>", "①", "ﬁ", "Ⅷ", "\uff11", "\u00a0", "\u200b", "▁"]


@pytest.mark.few(3)
@pytest.mark.parametrize("name", SENTENCEPIECE)
@quick
@given(
    st.lists(st.sampled_from([*SNIPPETS, " ", "  ", "\t", "a", "the", "ñ", "é", "<", "你", "😀", "\x07"]), max_size=9)
)
def test_names_spaces_and_rare_characters_as_in_sentencepiece(name, parts):
    theirs, own = both(name)
    text = "".join(parts)
    assert own.encode(text.encode()).tolist() == theirs.encode(text)


def test_pieces_are_text_and_bytes_are_written_as_the_file_does():
    own = both("bpe-bytes")[1]
    pieces = {own.written(token).decode(): own.piece(token) for token in range(own.size)}
    assert pieces["<0x0A>"] == b"\n"
    assert pieces["▁the"] == b" the"
    assert pieces["<s>"] == b"<s>"


def test_control_symbols_are_read_when_asked():
    own = both("bpe")[1]
    encoder = own.encoder(Options(parse=own.names))
    assert encoder.encode(encoder.scan(b"<s>\n"))[0].tolist() == [1]


def test_wire_format_of_a_known_message():
    assert list(protobuf.fields(b"\x08\x96\x01\x12\x07testing\x1d\x00\x00\x80\x3f")) == [
        (1, 150), (2, b"testing"), (3, b"\x00\x00\x80\x3f")
    ]  # fmt: skip
    assert protobuf.single(b"\x00\x00\x80\x3f") == 1.0


# Damage.


def sources():
    yield "tokenizer.json", tokenizer_json.read, trained("gpt2", 300).to_str().encode()
    yield "tokenizer.json", tokenizer_json.read, word_piece()
    yield "tiktoken", lambda data: tiktoken.read(tiktoken.read_ranks(data)), tiktoken.write(imported("gpt2")[1])
    yield "subword-nmt", subword_nmt.read, b"#version: 0.2\nt h\nth e</w>\ni n\ne r</w>\n"
    yield "sentencepiece", sentencepiece.read, sentencepiece_model("bpe-user")
    yield "sentencepiece", sentencepiece.read, sentencepiece_model("unigram")


@pytest.mark.few(2)
@pytest.mark.parametrize("place", range(6))
def test_damaged_files_are_refused_or_read_but_never_break(place):
    name, read, good = list(sources())[place]
    assert detect([good]) == name
    chance = random.Random(place)
    for trial in range(60):
        data = bytearray(good)
        if trial % 3 == 0:
            del data[chance.randrange(len(data)) :]
        for _ in range(trial % 4):
            if data:
                data[chance.randrange(len(data))] = chance.choice([0, 9, 10, 32, 34, 48, 57, 91, 123, 255])
        message, size = outcome(read, bytes(data))
        assert (size > 0 and not message) or (message and "\n" not in message)


def outcome(read, data):
    """What is wrong with a file, or how many tokens it has."""
    try:
        return "", read(data).size
    except LmkitError as error:
        return str(error), 0


BAD_JSON = {
    "empty": (b"", "no JSON at line 1"),
    "binary": (b"\x00\xff\xfe", "not"),
    "list": (b"[1]", "no object"),
    "deep": (b'{"a":' * 100000, "too deeply|no JSON"),
    "number": (b'{"model": ' + b"9" * 5000 + b"}", "not a tokenizer.json"),
    "twice": (b'{"model": {}, "model": {}}', "occurs twice"),
    "no model": (b"{}", "no model"),
    "no merges": (b'{"model": {"type": "BPE"}}', "no vocabulary or no merges"),
    "added": (b'{"model": {"type": "WordLevel"}, "added_tokens": 3}', "no list"),
    "decoder": (b'{"model": {"type": "WordLevel"}, "decoder": ["x"]}', "no object"),
    "unknown model": (b'{"model": {"type": "Nonesuch"}}', "tokenizers library"),
}


@pytest.mark.parametrize("name", BAD_JSON)
def test_bad_json(name):
    data, message = BAD_JSON[name]
    with pytest.raises(LmkitError, match=message):
        tokenizer_json.read(data)


def in_model(**changes):
    document = json.loads(trained("gpt2", 300).to_str())
    document["model"].update(changes)
    return json.dumps(document).encode()


def test_vocabularies_and_merges_that_do_not_fit():
    vocabulary = json.loads(trained("gpt2", 300).to_str())["model"]["vocab"]
    for changes, message in [
        ({"merges": ["q zz"]}, r"merge 1 \('q' and 'zz'\): the vocabulary has no 'zz'"),
        ({"merges": ["qz"]}, "merge 1 is not a pair"),
        ({"merges": [["a", 1]]}, "merge 1 is not a pair"),
        ({"vocab": {**vocabulary, "a": 5}}, "have the same id 5"),
        ({"vocab": {**vocabulary, "a": -1}}, "the id of 'a' is -1"),
        ({"vocab": {**vocabulary, "a": "x"}}, "the id of 'a' is \"x\""),
        ({"vocab": {**vocabulary, "a": 10**9}}, "far beyond"),
    ]:
        with pytest.raises(LmkitError, match=message):
            tokenizer_json.read(in_model(**changes))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"IQ== 0\nIQ== 1\n", "line 2: the token b'!' occurs twice"),
        (b"IQ== 0\nnonsense\n", "line 2 is not a token in base64 and a rank"),
        (b"IQ== 0\n = 1\n", "line 2 is not"),
        (b"IQ== 0\n", "lack byte 0x00"),
        (base64.b64encode(b"a" * 5000) + b" 7\n", "5000 bytes"),
    ],
)
def test_bad_ranks(data, message):
    with pytest.raises(LmkitError, match=message):
        tiktoken.read(tiktoken.read_ranks(data))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"#version: 0.9\na b\n", "of version 0.9"),
        (b"#version: 0.2\n", "no merges"),
        (b"#version: 0.2\na b\nab cd\n", "merge 2: no earlier merge makes 'cd'"),
        (b"#version: 0.2\na b c\n", "line 2 is not two tokens"),
        (b"#version: 0.2\na \xff\n", "line 2 is not UTF-8"),
    ],
)
def test_bad_codes(data, message):
    with pytest.raises(LmkitError, match=message):
        subword_nmt.read(data)


def test_formats_by_content():
    vocabulary, merges = gpt2.write(imported("gpt2")[1])
    assert detect([vocabulary, merges]) == "gpt2"
    assert "gpt2" in FORMATS
    for data in (vocabulary, merges, b"", b"some text here\n", b"\x7fELF\x00"):
        with pytest.raises(LmkitError):
            detect([data])


def test_python_runs_without_the_library_until_it_is_needed():
    modules = "sys, lmkit.tokenization.formats.tokenizer_json, lmkit.commands.bpe.convert"
    code = f"import {modules}; print('tokenizers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
