"""What `data spans` and `data noise` share: texts with the places of their tokens, or their ids, and records."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import TOKENS, Run, choice
from lmkit.commands.records.corpora import Corpus, CorpusInput
from lmkit.errors import UsageError
from lmkit.io import streams
from lmkit.io.text_sources import FIELD

if TYPE_CHECKING:
    import numpy as np

    from lmkit.data.span_corruption import Corrupted
    from lmkit.data.token_places import TokenPlaces

As = Annotated[
    str,
    typer.Option(
        "--as", metavar="FORM", callback=choice("text", "ids"),
        help="Output form: `text`, or `ids` of a tokenizer with the special tokens.",
    ),
]  # fmt: skip


class Example(NamedTuple):
    """A text, the fields of its record but the text, and a random generator of its own."""

    text: str
    fields: Mapping[str, Any]
    generator: "np.random.Generator"
    place: str


@dataclass(frozen=True)
class TextTokens:
    """The tokens of texts: words or characters, or those of a tokenizer."""

    name: str
    tokenizer: Any

    @classmethod
    def of(cls, name: str, form: str) -> "TextTokens":
        """Open what --tokens names. Raises UsageError where ids are asked for and there are none."""
        if name not in TOKENS:
            return cls(name, opening.named_tokenizer(name))
        if form == "ids":
            raise UsageError("--as ids needs a vocabulary", hint="--tokens FILE brings one")
        return cls(name, None)

    def places(self, example: Example) -> "TokenPlaces":
        """Find the tokens of a text. Raises DataError where a tokenizer's tokens do not spell it."""
        from lmkit.data.token_places import CUTS, cut_of

        if self.tokenizer is None:
            return CUTS[self.name](example.text)
        with opening.error_context(example.place):
            return cut_of(self.tokenizer)(example.text)

    def ids(self, text: str) -> Any:
        """The ids of a text; its line ends are spaces."""
        return self.tokenizer.encode(text.replace("\n", " ").encode())


def examples(run: Run, stored: CorpusInput, files: list[str] | None, seed: int, epoch: int) -> Iterator[Example]:
    """Each record of a corpus, whose random numbers depend on the seed, the epoch and its number alone."""
    import numpy as np

    corpus = Corpus(run, stored, files, eager=True)
    field_name = corpus.source.field or FIELD
    number = 0
    for chunk in corpus.chunks("corrupting"):
        for at, text in enumerate(chunk.texts):
            number += 1
            fields = {} if chunk.fields is None else {**chunk.fields[at]}
            fields.pop(field_name, None)
            yield Example(text.decode(), fields, np.random.default_rng([seed, epoch, number]), chunk.place(at))


def record(source: str, target: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The record of an example as text."""
    return {"input": source, "target": target, **{key: fields[key] for key in fields if key not in ("input", "target")}}


def record_of_ids(made: "Corrupted") -> dict[str, Any]:
    """The record of an example as ids."""
    return {"input_ids": made.inputs.tolist(), "labels": made.targets.tolist()}


def expect_single_stdin(tokens: str, files: list[str] | None) -> None:
    """Raises UsageError where stdin is to be read twice."""
    opening.check_single_stdin(tokens, *(files or [streams.STDIN]))
