"""Answers in conversations: what is run again, and what is not; the end of a turn; an answer that is stopped."""

import numpy as np
import pytest
from random_weights import random_weights

from lmkit import registry
from lmkit.errors import DataError
from lmkit.generation.filters import Filtering
from lmkit.generation.sampler import Sampler
from lmkit.inference.transformer import TransformerModel
from lmkit.prompting.answers import INTERRUPTED, Answer, Answerer, Dialogue
from lmkit.prompting.chat_templates import Chat

SHAPE = {"layers": 2, "width": 8, "heads": 2, "kv_heads": 1, "head_width": 4, "hidden": 12, "context": 90}


def written(messages, going_on, _values):
    return "".join(f"{message['role'][0]}{message['content']}t" for message in messages) + "a" * going_on


@pytest.fixture
def model(shelf):
    tokenizer = registry.load(shelf["char-witten-bell.lm"].read_bytes(), "characters").tokenizer
    return TransformerModel(random_weights("transformer", tokenizer, **SHAPE))


def answerer(model, **settings):
    greedy = Sampler(Filtering().chain(), greedy=True)
    return Answerer(model, Chat(written, ("|",)), greedy, 6, **settings)


def said(content):
    return {"role": "user", "content": content}


def last(events):
    *_, answer = events
    assert isinstance(answer, Answer)
    return answer


def test_a_turn_runs_what_is_new_and_answers_are_those_of_a_fresh_run(model):
    ours = answerer(model)
    dialogue = Dialogue(ours, 0, "1")
    for turn, text in enumerate(["the cat", "a dog", "sat"]):
        dialogue.messages.append(said(text))
        asked = list(dialogue.messages)
        answer = last(dialogue.answer())
        assert dialogue.messages == [*asked, {"role": "assistant", "content": answer.text}]
        assert answer.text == last(answerer(model).events(asked, 0)).text
        assert ours.run == len(f"u{text}ta") + (turn > 0)  # and the end of the answer before


def test_pieces_make_the_answer(model):
    *pieces, answer = answerer(model).events([said("the cat")], 0)
    assert "".join(pieces) == answer.text
    assert answer.tokens <= 6


def test_an_answer_that_is_stopped_keeps_its_text_and_the_states(model):
    asked = []

    def stopped():
        asked.append(1)
        return len(asked) == 4

    ours = answerer(model, stopped=stopped)
    *pieces, answer = ours.events([said("the cat")], 0)
    assert answer.finish_reason == INTERRUPTED
    assert answer.text == "".join(pieces)
    assert last(answerer(model).events([said("the cat")], 0)).text.startswith(answer.text)
    assert last(ours.events([said("the cat")], 0)).text == last(answerer(model).events([said("the cat")], 0)).text
    assert ours.run <= 1


def test_what_was_left_out_stays_out_so_that_states_are_used(model):
    ours = answerer(model)
    dialogue = Dialogue(ours, 0, "1")
    left_out, runs = [], []
    for _ in range(14):
        dialogue.messages.append(said("the cat"))
        answer = last(dialogue.answer())
        left_out.append(answer.left_out)
        runs.append(ours.run)
    assert left_out == sorted(left_out)
    assert left_out[-1] > 0
    grown = np.diff([0, *left_out]) > 0
    assert all(run < 30 for run, cut in zip(runs[1:], grown[1:], strict=True) if not cut)
    assert 2 * grown.sum() <= len(runs)
    with pytest.raises(DataError, match="tokens of the last message exceed"):
        last(ours.events([said("a" * 90)], 0))
