"""Runs of generators over prompts."""

import pytest

from lmkit.commands.generation.requests import RequestBuilder, id_of, run_requests
from lmkit.commands.records.prompts import Prompt
from lmkit.data.sequences import TextFormat
from lmkit.errors import DataError
from lmkit.generation.engine import Completion, Failed, Request
from lmkit.generation.sampler import NoCandidateError
from lmkit.tokenization.tokenizers import ByteTokenizer


class Model:
    """A model of bytes that is only begun."""

    tokenizer = ByteTokenizer()
    form = TextFormat("line", 1, 2)

    def start(self):
        return 0

    def advance(self, state, token):
        return token


class Twice:
    """Two texts for each request, as beams give several."""

    def run(self, requests):
        for request in requests:
            yield Completion(request, [5], b"x", "eos", [], (2,))
            yield Completion(request, [6], b"y", "eos", [], (2,), rank=1)


def test_several_texts_of_a_request_are_numbered():
    prompts = [Prompt(b"a", 1, "f:1"), Prompt(b"b", 2, "f:2")]
    asking = RequestBuilder(Model(), 0, more=lambda prompt: {"constraint": prompt.id})
    found = list(run_requests(Twice(), asking, [prompts[:1], prompts[1:]]))
    assert [(id_of(done).id, id_of(done).sample) for done in found] == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert [done.request.constraint for done in found] == [1, 1, 2, 2]
    assert len({done.request.stream for done in found}) == 2
    assert isinstance(found[0].request, Request)


class Echo:
    """A text for each request, and what else comes as it is."""

    def run(self, requests):
        for request in requests:
            yield request if isinstance(request, Failed) else Completion(request, [5], b"x", "eos", [], (2,))


def test_a_prompt_that_can_not_be_read_fails_when_those_before_are_done():
    def prompts():
        yield Prompt(b"a", 1, "f:1")
        raise DataError("f:2: no prompt")

    found = run_requests(Echo(), RequestBuilder(Model(), 0), [prompts(), [Prompt(b"b", 3, "f:3")]])
    assert next(found).request.label.id == 1
    with pytest.raises(DataError, match=r"^f:2: no prompt$"):
        next(found)


def test_a_text_that_fails_is_raised_with_the_place_of_its_prompt():
    class Failing:
        def run(self, requests):
            yield from (Failed(NoCandidateError(hint="less"), request) for request in requests)

    with pytest.raises(NoCandidateError, match=r"^f:1: no token can follow") as raised:
        list(run_requests(Failing(), RequestBuilder(Model(), 0), [[Prompt(b"a", 1, "f:1")]]))
    assert raised.value.hint == "less"
    with pytest.raises(NoCandidateError, match=r"^no token can follow"):
        list(run_requests(Failing(), RequestBuilder(Model(), 0), [[Prompt(b"a", 1)]]))
