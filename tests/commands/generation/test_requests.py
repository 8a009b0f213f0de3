"""Runs of generators over prompts."""

from lmkit.commands.generation.requests import Asking, events
from lmkit.commands.records.prompts import Prompt
from lmkit.data.sequences import TextForm
from lmkit.generation.engine import Generated, Request
from lmkit.tokenization.tokenizers import ByteTokenizer


class Model:
    """A model of bytes that is only begun."""

    tokenizer = ByteTokenizer()
    form = TextForm("line", 1, 2)

    def start(self):
        return 0

    def advance(self, state, token):
        return token


class Twice:
    """Two texts for each request, as beams give several."""

    def run(self, requests):
        for request in requests:
            yield Generated(request, [5], b"x", "eos", [], (2,))
            yield Generated(request, [6], b"y", "eos", [], (2,))


def test_several_texts_of_a_request_are_numbered():
    prompts = [Prompt(b"a", 1, "f:1"), Prompt(b"b", 2, "f:2")]
    asking = Asking(Model(), 0, more=lambda prompt: {"constraint": prompt.id})
    found = list(events(Twice(), asking, [prompts[:1], prompts[1:]]))
    assert [(done.request.label.id, done.request.label.sample) for done in found] == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert [done.request.constraint for done in found] == [1, 1, 2, 2]
    assert len({done.request.stream for done in found}) == 2
    assert isinstance(found[0].request, Request)
