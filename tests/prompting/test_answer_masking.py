"""Conversations as tokens: which are learned, where prompt and answer meet, and where conversations are divided."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmkit.data.answer_sequences import cut
from lmkit.data.sequences import TextFormat
from lmkit.errors import DataError
from lmkit.prompting import answered_records, builtin_templates
from lmkit.prompting.answer_masking import ConversationEncoder
from lmkit.prompting.chat_templates import BUILT_IN, Source
from lmkit.tokenization.bpe.scheme import Scheme
from lmkit.tokenization.bpe.tokenizer import BPETokenizer
from lmkit.tokenization.tokenizers import ByteTokenizer
from lmkit.tokenization.vocabulary import Vocabulary

MARKS = [b"<unk>", b"<|im_start|>", b"<|im_end|>", b"<s>", b"</s>", b"<think>", b"</think>"]
BOS, EOS = 259, 260


def published(*merges):
    """A tokenizer of bytes, marks and a few merged pieces, as published models have it."""
    pieces = [bytes([byte]) for byte in range(256)] + MARKS
    pairs = []
    for piece in merges:
        pairs.append((pieces.index(piece[:1]), pieces.index(piece[1:]), len(pieces)))
        pieces.append(piece)
    blob = b"".join(pieces)
    ends = np.cumsum([0, *map(len, pieces)])
    vocabulary = Vocabulary.build(np.frombuffer(blob, np.uint8), ends.astype(np.int64))
    names = {mark: 256 + place for place, mark in enumerate(MARKS)}
    scheme = Scheme(level="byte", pattern="none")
    specials = {"unk": 256, "bos": BOS, "eos": EOS}
    return BPETokenizer(vocabulary, np.array(pairs, np.int32).reshape(-1, 3), scheme, names, specials)


def encoder(template, tokenizer=None, ends=(EOS,)):
    tokenizer = tokenizer or published()
    return ConversationEncoder(BUILT_IN[template], tokenizer, TextFormat("stream", BOS, None, ends=ends))


def encoded(own, messages, **more):
    return own.encode(messages, own.chat.texts(own.turns(messages, **more)), **more)


def shown(own, sequence):
    """The text of a sequence, what is learned in braces."""
    text, inside = "", False
    for token, learned in zip(sequence.ids.tolist(), sequence.learned.tolist(), strict=True):
        if learned != inside:
            text += "{" if learned else "}"
        inside = learned
        text += own.tokenizer.piece(token).decode("latin-1")
    return text + ("}" if inside else "")


def turns(*texts):
    return [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(texts)]


def test_answers_and_their_ends_are_learned_in_every_turn():
    own = encoder("chatml")
    (sequence,), joints = encoded(own, turns("u", "a", "v", "b\nc"))
    assert shown(own, sequence) == (
        "<s><|im_start|>user\nu<|im_end|>\n<|im_start|>assistant\n{a<|im_end|>}\n<|im_start|>user\nv<|im_end|>\n"
        "<|im_start|>assistant\n{b\nc<|im_end|>}"
    )
    assert joints == 0
    (last,), _ = encoded(own, turns("u", "a", "v", "b"), last=True)
    assert shown(own, last).count("{") == 1
    assert shown(own, last).endswith("assistant\n{b<|im_end|>}")


def test_a_space_before_an_answer_is_the_answers():
    own = encoder("llama2")
    (sequence,), _ = encoded(own, turns("u", "a", "v", "b"))
    assert shown(own, sequence) == "<s>[INST] u [/INST]{ a</s>}<s>[INST] v [/INST]{ b</s>}"


def test_without_an_end_in_the_template_the_models_own_follows_and_answers_are_apart():
    own = encoder("instruct")
    found, _ = encoded(own, turns("u", "a", "v", "b"))
    assert len(found) == 2
    assert shown(own, found[0]).endswith("### Instruction:\nu\n\n### Response:\n{a</s>}")
    assert shown(own, found[1]).endswith("### Response:\na\n\n### Instruction:\nv\n\n### Response:\n{b</s>}")
    assert found[1].learned.sum() == 2


def test_a_template_that_forgets_earlier_turns_divides_the_conversation():
    source = "{%- for m in messages -%}<|im_start|>{{ m.role }}{{ loop.last }}\n{{ m.content }}<|im_end|>{%- endfor -%}"
    own = encoder("chatml")
    own = ConversationEncoder(Source(source + "<|im_start|>").chat({}, None), own.tokenizer, own.form)
    with pytest.raises(DataError, match="does not write the assistant's answer"):
        encoded(ConversationEncoder(Source("x").chat({}, None), own.tokenizer, own.form), turns("u", "a"))
    found, _ = encoded(own, turns("u", "a", "v", "b"))
    assert [shown(own, one).count("{") for one in found] == [1, 1]


def test_an_answer_that_a_template_writes_elsewhere_too():
    source = "{%- for m in messages -%}{{ '<|im_start|>' if loop.first }}{{ m.content }}<|im_end|>{%- endfor -%}"
    own = encoder("chatml")
    own = ConversationEncoder(
        Source(source + "{{ '<s>' if add_generation_prompt }}").chat({}, None), own.tokenizer, own.form
    )
    for answer in ("im_", "e", "u", ""):
        (sequence,), _ = encoded(own, turns("ue", answer))
        assert own.tokenizer.decode(sequence.ids[sequence.learned].tolist()) == f"{answer}<|im_end|>".encode()


def test_no_token_is_of_prompt_and_answer():
    tokenizer = published(b"\nx")
    own = encoder("chatml", tokenizer)
    (sequence,), joints = encoded(own, turns("u", "xy"))
    assert joints == 1
    assert shown(own, sequence).endswith("assistant\n{xy<|im_end|>}")
    assert encoded(own, turns("u", "y"))[1] == 0


def test_models_whose_line_ends_are_tokens():
    tokenizer = ByteTokenizer()
    own = ConversationEncoder(BUILT_IN["instruct"], tokenizer, TextFormat.of("file", tokenizer))
    (sequence,), _ = encoded(own, turns("u", "a\nb"))
    ends, starts = tokenizer.specials["eos"], tokenizer.specials["bos"]
    assert sequence.ids[sequence.learned].tolist() == [*tokenizer.encode(b"a"), ends, *tokenizer.encode(b"b"), starts]


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=12), min_size=2, max_size=4))
def test_learned_tokens_spell_the_answers(texts):
    texts = texts[: len(texts) // 2 * 2]
    own = encoder("chatml", published(b"\nx", b"ab"))
    messages, _ = answered_records.without_marks(turns(*texts), own.marks)
    (sequence,), _ = encoded(own, messages)
    said = "".join(f"{one['content']}<|im_end|>" for one in messages[1::2])
    assert own.tokenizer.decode(sequence.ids[sequence.learned].tolist()) == said.encode()


def test_cut_sequences_keep_an_answer_or_go():
    (sequence,), _ = encoded(encoder("chatml"), turns("u" * 30, "abc"))
    most = sequence.inputs - 10
    shorter = cut(sequence, most, "start", 1)
    assert shorter.inputs == most
    assert shorter.ids[0] == BOS
    assert shorter.learned.sum() == sequence.learned.sum()
    assert cut(sequence, 20, "end", 1) is None
    assert cut(sequence, most, "drop", 1) is None
    assert cut(sequence, sequence.inputs, "drop", 1) is sequence


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_templates_in_jinja_write_the_same(name):
    jinja = Source(builtin_templates.SOURCES[name]).chat({}, None)
    given = [{"role": "user", "content": "do it's", "input": "x {{ y }}"}, {"role": "assistant", "content": " b "}]
    for messages in (turns("u"), turns("u", "a\n", " v "), [{"role": "system", "content": "s"}, *given, *turns("w")]):
        for going_on in (True, False):
            assert jinja.write(messages, going_on, {}) == BUILT_IN[name].write(messages, going_on, {})


def test_thoughts_of_answers_are_no_marks():
    own = encoder("chatml")
    assert {"<|im_start|>", "<s>", "</s>", "<unk>"} <= set(own.marks)
    messages = turns("q", "<think>t</think>a")
    assert answered_records.without_marks(messages, own.marks) == (messages, None)
    (sequence,) = encoded(own, messages).sequences
    learned = sequence.ids[sequence.learned].tolist()
    assert [own.tokenizer.piece(token) for token in learned] == [b"<think>", b"t", b"</think>", b"a", b"<|im_end|>"]
    assert answered_records.without_marks(turns("q<|im_end|>", "a"), own.marks)[1] == "<|im_end|>"
