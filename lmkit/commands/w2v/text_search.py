"""Search among embedded texts, for `lmkit w2v similar --vectors`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lmkit.commands.loading import encoders
from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import Run
from lmkit.commands.records import embedded
from lmkit.commands.w2v.query_words import Query, lines
from lmkit.errors import CheckpointError, DataError
from lmkit.io import outputs, streams
from lmkit.io.records import Table

if TYPE_CHECKING:
    from lmkit.protocols import F64

AT_ONCE = 1024


def search(
    run: Run, texts: list[str] | None, model: str | None, vectors: str, *, top: int, as_json: bool, bare: bool,
    output: str | None,
) -> None:  # fmt: skip
    """Print the texts of a file that are nearest to each query. Raises DataError for a query without a vector."""
    from lmkit.evaluation import vector_search

    opening.check_single_stdin(vectors, model, *([] if texts else [streams.STDIN]))
    there = embedded.read(vectors)
    units = vector_search.unit_rows(there.vectors)
    vectors_of = _by_model(run, model, units.shape[1]) if model is not None else _by_text(there)
    with outputs.open_output(output) as out:
        table = None if bare else Table(out, ("query", "word", "score", "line"), as_json=as_json)
        for queries in _queries(texts):
            found = vector_search.nearest(units, vectors_of(queries), top)
            for query, near in zip(queries, found, strict=True):
                if table is None:
                    out.line("\t".join(there.texts[one.place] for one in near))
                    continue
                for one in near:
                    own = {"word": there.texts[one.place], "score": one.score, "line": one.place + 1}
                    table.row({"query": query.text, **own})


def _queries(texts: list[str] | None) -> Iterator[list[Query]]:
    if texts:
        yield [Query(text, streams.argument_bytes(text), None) for text in texts]
        return
    for queries in lines(streams.STDIN, lambda line: line):
        for start in range(0, len(queries), AT_ONCE):
            yield queries[start : start + AT_ONCE]


def _missing(query: Query, what: str, hint: str) -> DataError:
    return DataError(f"{query.place}: {what}" if query.place else f"{query.text!r}: {what}", hint=hint)


def _by_text(there: embedded.Embedded) -> Any:
    """What finds the vectors of queries that are texts of the file."""
    import numpy as np

    places = {text: place for place, text in reversed(list(enumerate(there.texts)))}

    def vectors(queries: list[Query]) -> "F64":
        for query in queries:
            if query.text not in places:
                raise _missing(query, "not one of the texts", "-m MODEL embeds other texts")
        return there.vectors[[places[query.text] for query in queries]].astype(np.float64)

    return vectors


def _by_model(run: Run, name: str, width: int) -> Any:
    """What embeds queries with an encoder, as `lmkit embed` does. Raises CheckpointError for another width."""
    import numpy as np

    from lmkit.commands.embed_sentences import SentenceOptions, pooling_of
    from lmkit.evaluation.sentence_vectors import sentence_vectors

    model = encoders.require_encoder(opening.open_any(name), name)
    if model.settings.width != width:
        raise CheckpointError(f"{streams.display(name)}: vectors of {model.settings.width} numbers, the file's {width}")
    pooling = pooling_of(model, None, normalize=None, options=SentenceOptions())
    backend = encoders.EncoderBackend(run, model, name=name, device="cpu", precision="fp32", threads=None)
    size = 0

    def vectors(queries: list[Query]) -> "F64":
        nonlocal size
        size += sum(len(query.words) for query in queries)
        encoder = backend.for_bytes(size)
        parts = [encoder.tokenizer.encode(query.words) for query in queries]
        ends = np.cumsum([len(part) for part in parts])
        found = sentence_vectors(encoder, np.concatenate(parts), ends, pooling)
        for query, vector in zip(queries, found, strict=True):
            if vector is None:
                raise _missing(query, "a text without tokens has no vector", "leave empty lines out")
        return np.array(found, dtype=np.float64)

    return vectors
