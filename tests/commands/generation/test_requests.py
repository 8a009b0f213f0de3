"""Runs of generators over prompts."""

from lmkit.commands.generation.requests import RequestBuilder, run_requests
from lmkit.commands.records.prompts import Prompt
from lmkit.data.sequences import TextFormat
from lmkit.generation.engine import Completion, Request
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
            yield Completion(request, [6], b"y", "eos", [], (2,))


def test_several_texts_of_a_request_are_numbered():
    prompts = [Prompt(b"a", 1, "f:1"), Prompt(b"b", 2, "f:2")]
    asking = RequestBuilder(Model(), 0, more=lambda prompt: {"constraint": prompt.id})
    found = list(run_requests(Twice(), asking, [prompts[:1], prompts[1:]]))
    assert [(done.request.label.id, done.request.label.sample) for done in found] == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert [done.request.constraint for done in found] == [1, 1, 2, 2]
    assert len({done.request.stream for done in found}) == 2
    assert isinstance(found[0].request, Request)
