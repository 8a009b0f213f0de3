"""The laws of language models, kept by what an encoder-decoder gives for a source."""

import inspect
import runpy
from pathlib import Path

import pytest
import tiny_seq2seq

LAWS = (
    "next_sums_to_one", "no_score_is_above_zero", "scoring_many_equals_stepping", "factors_are_the_scores",
    "the_past_does_not_depend_on_the_future", "sentences_do_not_know_each_other", "nothing_is_scored_without_tokens",
    "old_states_stay_good", "equal_histories_give_equal_states", "hardly_any_temperature_is_greedy",
    "samples_do_not_depend_on_what_else_is_drawn", "what_is_drawn_costs_what_the_model_says",
)  # fmt: skip
MODELS = {"rnn": lambda: tiny_seq2seq.tiny_rnn("general"), "rnn-fixed": lambda: tiny_seq2seq.tiny_rnn("context"),
          "prefix-lm": tiny_seq2seq.tiny_prefix_lm}  # fmt: skip

OF_LANGUAGE_MODELS = runpy.run_path(str(Path(__file__).with_name("test_language_model.py")))


@pytest.fixture(scope="module", params=MODELS)
def given(request):
    """The language model of targets of a source."""
    model = MODELS[request.param]()
    return model.given(model.source_ids(model.source_tokenizer.decode([3, 4, 5])))


@pytest.mark.parametrize("law", LAWS)
def test_law(law, given):
    check = OF_LANGUAGE_MODELS[f"test_{law}"]
    names = {"model": given, "model_name": "seq2seq"}
    check(**{name: names[name] for name in inspect.signature(check).parameters})


def test_the_source_counts(given):
    other = given.for_source(given.source_ids(given.model.source_tokenizer.decode([6, 7])))
    assert other.next(other.start()).tolist() != given.next(given.start()).tolist()
    assert given.for_source(given.source).next(given.start()).tolist() == given.next(given.start()).tolist()
