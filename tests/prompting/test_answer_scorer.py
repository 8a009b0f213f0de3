"""Tests of: answer_scorer.py, result_cache.py, template_search.py. Answers that a model chooses, and chooses once."""

import numpy as np
import pytest
from bigrams import BigramModel

from lmkit.data.sequences import TextFormat
from lmkit.errors import DataError
from lmkit.metrics.bootstrap import Sampling
from lmkit.prompting.answer_scorer import AnswerScorer, Normalization
from lmkit.prompting.multiple_choice import Question
from lmkit.prompting.result_cache import ResultCache, key_of
from lmkit.prompting.template_search import TemplateOutcome, answered_right
from lmkit.tokenization.tokenizers import ByteTokenizer


class Model(BigramModel):
    """Of bytes, of which `b` is the most probable; it counts how often it is asked."""

    digest = "d"

    def __init__(self, by="stream"):
        tokenizer = ByteTokenizer()
        logs = np.full(tokenizer.size, -6.0)
        logs[tokenizer.encode(b"b")] = -1.0
        super().__init__(tokenizer, TextFormat.of(by, tokenizer), np.tile(logs, (tokenizer.size, 1)))
        self.asked = 0

    def score_many(self, ids, ends):
        self.asked += 1
        return super().score_many(ids, ends)


class Lines:
    """A journal in memory."""

    def __init__(self, lines=()):
        self.lines = list(lines)

    def add(self, value):
        self.lines.append(value)


def scorer_of(model, cache=None, notice=None, **options):
    return AnswerScorer(
        model, Normalization("none", ["none"], **options), ResultCache() if cache is None else cache, window=False,
        notice=[].append if notice is None else notice,
    )  # fmt: skip


def test_the_most_probable_candidate_is_chosen():
    found = scorer_of(Model()).scores([(Question("x", ("a", "b")), None)])
    assert found == [{"none": [-6.0, -1.0]}]
    assert scorer_of(Model()).chosen([(Question("x", ("a", "b")), None)]) == [1]


def test_what_is_in_the_journal_is_not_asked_again():
    question, journal = Question("x", ("a", "b")), Lines()
    first = scorer_of(Model(), ResultCache(journal)).scores([(question, None), (question, None)])
    assert [line["key"] for line in journal.lines] == [
        key_of(Model(), "x", "", ("a", "b"), "", [False, False, "always"])
    ]
    model = Model()
    assert scorer_of(model, ResultCache(Lines(journal.lines))).scores([(question, None)] * 2) == first
    assert model.asked == 0


def test_a_value_that_is_no_score_is_refused():
    journal = Lines()
    question = Question("x", ("a", "b"))
    scorer_of(Model(), ResultCache(journal)).scores([(question, None)])
    journal.lines[0]["value"] = [[1.0], [1]]
    with pytest.raises(DataError, match="not a score"):
        scorer_of(Model(), ResultCache(journal)).scores([(question, None)])


def test_ties_and_lines_that_are_not_seen_are_noticed_once():
    said = []
    scorer = scorer_of(Model("line"), notice=said.append)
    for _ in range(2):
        scorer.scores([(Question("x\ny", ("a", "c"), " ", place="f:1"), None)])
    assert len(said) == 2
    assert "only the line of the answer" in said[0]
    assert said[1] == "f:1: tie between 'a', 'c', using the first"


def test_questions_without_a_text_spare_what_replaces_it():
    normalization = Normalization("none", ["none", "calibrated"], sparing=True)
    assert normalization.norms_of(Question("x", ("a",)), "y") == ("none",)
    assert normalization.norms_of(Question("x", ("a",)), "x") == ("none", "calibrated")


def test_templates_are_compared_on_the_same_items():
    questions = [(Question("x", ("a", "b")), None)] * 2
    right = answered_right(scorer_of(Model()), questions, ["b", "a"], lambda _place: None)
    assert right == [True, False]
    best, other = TemplateOutcome("s", [True, True], "dev"), TemplateOutcome("t", right, "dev")
    sampling = Sampling(0, 100, 0.95)
    assert (best.accuracy, other.accuracy) == (1.0, 0.5)
    assert best.measured(best, sampling)[1] is None
    assert other.measured(best, sampling)[1].value == -0.5
    assert TemplateOutcome("t", right, "test").measured(best, sampling)[1] is None
