"""`lmkit ngram mix`: several models as one."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.loading import running_text
from lmkit.commands.loading.mixtures import typed_weights
from lmkit.commands.loading.provenance import checkpoint_bytes, file_record, origin
from lmkit.commands.options.standard import EncodingErrors, ModelsOption, Output, Run
from lmkit.errors import DataError, UsageError
from lmkit.io import outputs, streams
from lmkit.io.text_sources import SourceReader, TextSource


def mix(
    run: Run,
    model: ModelsOption = None,
    weights: Annotated[
        str | None,
        typer.Option("--weights", metavar="LIST", show_default="equal", help="Mixture weights, such as `0.7,0.3`."),
    ] = None,
    tune: Annotated[
        str | None,
        typer.Option(
            "--tune", metavar="FILE", help="Development text on which the weights are tuned.", show_default=False
        ),
    ] = None,
    log_linear: Annotated[
        bool,
        typer.Option(
            "--log-linear",
            help="Log-linear interpolation: multiply powers of the probabilities instead of adding shares.",
        ),
    ] = False,
    encoding_errors: EncodingErrors = "strict",
    output: Output = None,
) -> None:
    """Mix n-gram models into one (static interpolation).

    The result is an ordinary model that lists the n-grams of all the models. Linear weights are shares that sum
    to 1, tuned by EM. Log-linear weights are exponents, tuned by search.

    A linear mixture is exact for the n-grams that it lists. All others back off, so it differs from the exact
    interpolation, by up to 0.16 nats per token in one measurement. `lmkit ppl --mix` and `lmkit score --mix`
    interpolate exactly, and mix models of any kind with the same tokens.

    Examples:
      lmkit ngram mix -m news.lm -m mail.lm --weights 0.7,0.3 -o both.lm
      lmkit ngram mix -m news.lm -m mail.lm --tune dev.txt | lmkit ppl test.txt
      lmkit ngram mix --log-linear -m news.lm -m mail.lm --tune dev.txt -o both.lm
    """
    names = list(model or [])
    if len(names) < 2:
        raise UsageError("mixing takes two models or more", hint="-m FIRST -m SECOND")
    if weights is not None and tune is not None:
        raise UsageError("--weights and --tune exclude each other")
    opening.check_single_stdin(*names, tune)
    given = _shares(weights, len(names), log_linear=log_linear)
    with outputs.open_output(output, binary=True) as out:
        for piece in _mixed(run, names, given, tune, encoding_errors, log_linear=log_linear):
            out.write(piece)


def _mixed(
    run: Run, names: list[str], shares: list[float], tune: str | None, encoding_errors: str, *, log_linear: bool
) -> Iterator[Any]:
    """The bytes of the mixture."""
    from lmkit.ngram import static_mixing
    from lmkit.ngram.backoff_model import NGram

    models = [opening.open_distribution(name) for name in names]
    parts = static_mixing.unite(models, unknown=log_linear)
    if tune is not None:
        ids, ends = _development_text(run, parts.tokenizer, tune, encoding_errors)
        if not len(ids):
            raise DataError(f"{streams.display(tune)}: no text to tune weights on")
        if log_linear:
            shares = static_mixing.tune_log_linear(parts, ids, ends)
        else:
            shares = static_mixing.tune_linear(models, parts, ids, ends)
        run.terminal.notice(f"weights {', '.join(f'{share:.4f}' for share in shares)}")
    tables = static_mixing.log_linear(parts, shares) if log_linear else static_mixing.linear(parts, shares)
    settings: dict[str, Any] = {"weights": shares, "log_linear": log_linear}
    config = {"order": len(tables), "smoothing": "log-linear mixture" if log_linear else "linear mixture"}
    mixed = NGram(tables, parts.tokenizer, {**config, "weights": shares})
    inputs = [{"model": one.digest} for one in models]
    if tune is not None:
        inputs.append(file_record(tune))
    return checkpoint_bytes(mixed, origin("ngram mix", settings, inputs))


def _shares(text: str | None, count: int, *, log_linear: bool) -> list[float]:
    if text is None:
        return [1.0 / count] * count
    given = typed_weights("--weights", text, count)
    return given if log_linear else [share / sum(given) for share in given]


def _development_text(run: Run, tokenizer: Any, name: str, errors: str) -> tuple[Any, Any]:
    """All sentences of a text, ends included, as one."""
    import numpy as np

    from lmkit.tokenization.line_ends import with_line_ends

    reader = SourceReader(replace=errors == "replace", raw=tokenizer.accepts_any_bytes, source=TextSource())
    ids, ends, total = [], [], 0
    for block in running_text.read_blocks(run, reader, [name], "reading"):
        plain_ids, plain_ends = tokenizer.encode_block(block)
        block_ids, block_ends = with_line_ends(plain_ids, plain_ends, tokenizer.specials["eos"])
        ids.append(block_ids)
        ends.append(block_ends + total)
        total += len(block_ids)
    if not ids:
        return np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int64)
    return np.concatenate(ids), np.concatenate(ends)
