"""`lmkit w2v plot`: word vectors on a plane, as numbers, a picture, or a page to move about in."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options.figures import Plot
from lmkit.commands.options.standard import Json, ModelOption, Output, Run, Seed, choice
from lmkit.commands.w2v.query_words import Top, open_space
from lmkit.errors import DataError, UsageError
from lmkit.io import outputs, streams, text_files
from lmkit.io.figures import files, word_map
from lmkit.io.records import Table

MOST = 2000
"""Words that t-SNE takes: memory and time grow with their square."""


def plot_words(
    run: Run,
    model: ModelOption = None,
    words: Annotated[
        str | None,
        typer.Option(
            "--words", metavar="FILE", show_default=False,
            help="Plot the words in FILE, one per line.",
        )
    ] = None,
    around: Annotated[
        str | None,
        typer.Option("--around", metavar="WORD", show_default=False, help="Plot WORD and its nearest neighbours."),
    ] = None,
    top: Top = 500,
    projection: Annotated[
        str,
        typer.Option(
            "--projection", metavar="KIND", callback=choice("pca", "tsne"),
            help="Projection: `pca` (directions of greatest variance) or `tsne` (preserves neighbourhoods, not "
            "distances).",
        ),
    ] = "pca",
    perplexity: Annotated[
        float,
        typer.Option(
            "--perplexity", metavar="P", min=1.0,
            help="Perplexity of t-SNE: effective number of neighbours.",
        )
    ] = 30.0,
    iterations: Annotated[
        int, typer.Option("--iterations", metavar="N", min=1, help="Iterations of t-SNE.")
    ] = 1000,
    seed: Seed = 0,
    plot: Plot = None,
    json: Json = False,
    output: Output = None,
) -> None:  # fmt: skip
    """Plot word vectors on a plane by PCA or t-SNE.

    The words are the most frequent ones, the neighbours of --around WORD, or a list (--words). Vectors are
    normalised to unit length first. The same command gives the same map.

    The name given to --plot, or to -o, chooses the format: .png and .svg are pictures that label words where there
    is room, .html is a self-contained page with zoom and search; any other -o is a table of words and coordinates.
    t-SNE takes at most 2000 words, and distances between its clusters mean little.

    Examples:
      lmkit w2v plot -m vectors.lm --top 1000 --projection tsne -o map.html
      lmkit w2v plot -m vectors.lm --around king --top 50 -o king.png
      lmkit w2v plot -m vectors.lm --words animals.txt
    """
    if words is not None and around is not None:
        raise UsageError("--words and --around exclude each other")
    kind = (output or "").rpartition(".")[2].lower()
    if kind in files.FORMATS:
        files.check(output)
    if json and kind in files.FORMATS:
        raise UsageError(f"--json prints a table, but {output} is not one")
    name = model if model is not None else streams.STDIN
    opening.check_single_stdin(name, words)
    space = open_space(name)
    ids = _chosen(run, space, words, around, top)
    places = _placed(run, space, ids, projection, perplexity, iterations, seed)
    labels = [space.tokenizer.piece(token).decode(errors="replace") for token in ids]
    title = {"pca": "principal components", "tsne": "t-SNE"}[projection]
    what = f"{len(ids)} words" if around is None else f"{around} and {len(ids) - 1} words near it"
    marked = frozenset([0] if around is not None else [])
    x, y = places.T.tolist()
    shown = word_map.WordMap(f"{what}, {title}", labels, x, y, marked)
    if plot is not None:
        _draw(plot, shown)
    if kind in files.FORMATS:
        _draw(output or "", shown)
        return
    with outputs.open_output(output) as out:
        table = Table(out, ("word", "x", "y"), as_json=json)
        table.rows({"word": word, "x": x, "y": y} for word, (x, y) in zip(labels, places.tolist(), strict=True))


def _draw(name: str, shown: word_map.WordMap) -> None:
    """Writes a picture, or a page to move about in."""
    if files.format_of(name) != "html":
        files.write(name, word_map.figure(shown))
        return
    files.write_page(name, word_map.page(shown))


def _chosen(run: Run, space: Any, words: str | None, around: str | None, top: int) -> list[int]:
    """Ids of the words to be drawn. Raises DataError where there are none."""
    if around is not None:
        (token,) = space.known([streams.argument_bytes(around)]).tolist()
        return [token, *(neighbour.token for neighbour in space.similar([token], top)[0])]
    if words is None:
        frequent: list[int] = space.words()[:top].tolist()
        return frequent
    listed = list(dict.fromkeys(line for line in text_files.TextReader().lines(words) if line))
    ids = space.find(listed).tolist()
    missing = [word.decode() for word, token in zip(listed, ids, strict=True) if token < 0]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        run.terminal.notice(f"{streams.display(words)}: no vector for {', '.join(map(repr, missing[:5]))}{more}")
    found = [token for token in ids if token >= 0]
    if not found:
        raise DataError(f"{streams.display(words)}: no word that has a vector")
    return found


def _placed(
    run: Run, space: Any, ids: Sequence[int], projection: str, perplexity: float, steps: int, seed: int
) -> Any:  # fmt: skip
    import numpy as np

    from lmkit.word_vectors import projection as projections

    if projection == "tsne" and len(ids) > MOST:
        raise UsageError(f"{len(ids)} words are too many for t-SNE, which takes {MOST}", hint="--projection pca")
    units = space.units(np.array(ids, dtype=np.int32))
    if projection == "pca":
        return projections.principal(units)
    draw = np.random.default_rng(seed)
    return projections.tsne(units, perplexity=perplexity, steps=steps, draw=draw, stage=run.terminal.stage)
