"""`lmkit ngram fit`: from texts or counts to a smoothed model."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.loading import running_text
from lmkit.commands.loading.provenance import checkpoint_bytes, file_record, origin
from lmkit.commands.ngram.counting import MaxVocab, MinCount, Order, VocabFile, count_texts
from lmkit.commands.options.normalization import Normalize, Punctuation, normalization_of
from lmkit.commands.options.option_groups import in_sections, with_groups
from lmkit.commands.options.standard import (
    TOKENS,
    EncodingErrors,
    Memory,
    Output,
    Run,
    TempDir,
    Threads,
    Tokens,
    choice,
)
from lmkit.commands.options.text_input import TextFiles, TextInput
from lmkit.errors import CheckpointError, DataError, UsageError
from lmkit.io import outputs, streams
from lmkit.io.text_sources import TextSource
from lmkit.ngram.smoothing_methods import ALIASES, CLOSED, METHODS, SINGLE_DISCOUNT, thresholds
from lmkit.tokenization.normalization import of_tokenizer

SECTIONS = {
    "Text and tokens": (
        "files", "from_counts", "tokens", "normalize", "punctuation", "vocab", "max_vocab", "min_count",
        "input_form", "text_field", "encoding_errors",
    ),
    "Model": ("order", "smoothing", "prune", "k", "alpha", "discount", "heldout", "open_vocabulary"),
    "Output and resources": ("memory", "temp_dir", "threads", "output"),
}  # fmt: skip


@in_sections(SECTIONS)
@with_groups()
def fit(
    run: Run,
    files: TextFiles = None,
    *,
    text_input: TextInput,
    order: Order = 5,
    smoothing: Annotated[
        str,
        typer.Option(
            "--smoothing",
            metavar="NAME",
            callback=choice(*METHODS, also=ALIASES),
            help=f"Smoothing method: {', '.join(METHODS)}; also {', '.join(ALIASES)}.",
        ),
    ] = "modified-kneser-ney",
    tokens: Tokens = "word",
    normalize: Normalize = "none",
    punctuation: Punctuation = "keep",
    prune: Annotated[
        str | None,
        typer.Option(
            "--prune",
            metavar="COUNTS",
            help="Count pruning: drop n-grams with at most this count, per order, such as `0,1,1`. The last value "
            "holds for all higher orders.",
        ),
    ] = None,
    k: Annotated[
        float | None,
        typer.Option(
            "--k", metavar="K", min=1e-12, max=1e6, show_default="1", help="Constant that add-k adds to every count."
        ),
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option(
            "--alpha", metavar="A", min=1e-12, max=1.0, show_default="0.4", help="Backoff factor of stupid-backoff."
        ),
    ] = None,
    discount: Annotated[
        float | None,
        typer.Option(
            "--discount",
            metavar="D",
            min=0.0,
            max=1.0,
            show_default="from counts of counts",
            help="Absolute discount of `absolute` and `kneser-ney`.",
        ),
    ] = None,
    heldout: Annotated[
        str | None,
        typer.Option(
            "--heldout",
            metavar="FILE",
            show_default="leave-one-out",
            help="Held-out text on which EM estimates the weights of jelinek-mercer.",
        ),
    ] = None,
    open_vocabulary: Annotated[
        bool | None,
        typer.Option(
            "--open-vocabulary/--closed-vocabulary",
            show_default="open, but closed for mle, add-k and order 0",
            help="Open vocabulary: reserve probability for unknown words.",
        ),
    ] = None,
    from_counts: Annotated[
        bool, typer.Option("--from-counts", help="Read a count file of `ngram count` or `ngram merge` instead of text.")
    ] = False,
    vocab: VocabFile = None,
    max_vocab: MaxVocab = None,
    min_count: MinCount = 1,
    memory: Memory = None,
    temp_dir: TempDir = None,
    encoding_errors: EncodingErrors = "strict",
    threads: Threads = None,
    output: Output = None,
) -> None:
    """Fit a smoothed n-gram model to a text or to counts.

    The default smoothing, interpolated modified Kneser-Ney, equals KenLM's lmplz. Where the text is too small or
    too repetitive to estimate discounts, defaults are used, with a notice. Words are separated by white space.
    `<s>` and `</s>` in a text are dropped; `<unk>` is the unknown word, which has a probability if the
    vocabulary is open.

    --normalize and --punctuation are stored in the model, which normalises every text that it reads. Bits per
    character and per byte still refer to the text as given.

    Examples:
      lmkit ngram fit train.txt -o model.lm
      lmkit ngram fit --field body shards/ -o model.lm
      lmkit ngram fit --order 3 --smoothing witten-bell train.txt | lmkit ppl test.txt
      lmkit ngram fit --tokens char --order 6 train.txt -o char.lm
      lmkit ngram fit --normalize nfkc,lowercase --punctuation split train.txt -o lower.lm
      lmkit ngram count part1.txt -o 1.lm; lmkit ngram count part2.txt -o 2.lm
      lmkit ngram merge 1.lm 2.lm | lmkit ngram fit --from-counts -o model.lm
    """
    own = _own_parameters(smoothing, {"--k": k, "--alpha": alpha, "--discount": discount, "--heldout": heldout})
    pruned = _thresholds(prune, max(1, order))
    thread_count = opening.core_count(threads)
    inputs = list(files or [streams.STDIN])
    opening.check_single_stdin(*inputs, vocab, heldout, tokens)
    if from_counts and (tokens != "word" or vocab is not None or max_vocab is not None or min_count > 1):
        raise UsageError("--from-counts cannot be combined with --tokens, --vocab, --max-vocab or --min-count")
    normalization = normalization_of(normalize, punctuation, tokens)
    if from_counts:
        text_input.refuse_beside("--from-counts")
    if from_counts and normalization:
        raise UsageError(
            "--from-counts cannot be combined with --normalize or --punctuation: counts are of normalised text"
        )
    with outputs.open_output(output, binary=True) as out:
        if from_counts:
            counts, tokenizer, record, storage = _read_counts(inputs, order, run)
        else:
            counts, tokenizer, record, storage = count_texts(
                run, inputs, order=order, tokens=tokens, vocab=vocab, max_vocab=max_vocab, min_count=min_count,
                normalization=normalization, memory=memory, temp_dir=temp_dir, encoding_errors=encoding_errors,
                source=text_input.source, threads=thread_count,
            )  # fmt: skip
        is_open = (order > 0 and smoothing not in CLOSED) if open_vocabulary is None else open_vocabulary
        settings: dict[str, Any] = {"order": order, "smoothing": smoothing if order else "uniform"}
        settings |= {"open_vocabulary": is_open, "prune": pruned, **own}
        model, notes = _smooth(counts, tokenizer, settings, heldout, text_input.source, thread_count, storage, run)
        if notes:
            run.terminal.notice(f"too few counts to estimate discounts, using defaults ({'; '.join(notes)})")
        asked = {**settings, "tokens": tokenizer.kind, **of_tokenizer(tokenizer).describe()}
        read = [record()]
        if heldout is not None:
            read.append(file_record(heldout) | text_input.source.describe(heldout))
        parents = {} if from_counts or tokens in TOKENS else {"tokenizer": tokenizer.digest}
        for piece in checkpoint_bytes(model, {**origin("ngram fit", asked, read), **parents}):
            out.write(piece)
            storage.release()


def _own_parameters(smoothing: str, given: dict[str, Any]) -> dict[str, float]:
    """The parameters given of the method. Raises UsageError for those of another."""
    takers = {"--k": ("add-k",), "--alpha": ("stupid-backoff",), "--discount": SINGLE_DISCOUNT}
    takers |= {"--heldout": ("jelinek-mercer",)}
    for name, value in given.items():
        if value is not None and smoothing not in takers[name]:
            raise UsageError(f"{name} needs --smoothing {' or '.join(takers[name])}, got {smoothing}")
    return {name[2:]: value for name, value in given.items() if isinstance(value, float)}


def _thresholds(prune: str | None, order: int) -> list[int]:
    """A threshold for each order; none without --prune."""
    if prune is None:
        return []
    try:
        values = [int(part) for part in prune.replace(",", " ").split()]
    except ValueError:
        values = [-1]
    if not values or min(values) < 0:
        raise UsageError(f"--prune {prune!r} is not a list of counts such as 0,1,1")
    return thresholds(values, order)


def _read_counts(inputs: list[str], order: int, run: Run) -> tuple[Any, Any, Callable[[], dict[str, Any]], Any]:
    from lmkit.array_storage import Memory as InMemory
    from lmkit.ngram.tables import Counts

    if len(inputs) > 1:
        raise UsageError("--from-counts takes one count file", hint="add them up with `lmkit ngram merge`")
    file = opening.open_kind(inputs[0], "ngram-counts")
    if order > file.counts.order:
        raise CheckpointError(
            f"{streams.display(inputs[0])}: counts go up to order {file.counts.order}, not {order}",
            hint=f"--order {file.counts.order}",
        )
    counts = Counts(file.counts.levels[: max(1, order)])
    return counts, file.tokenizer, lambda: {"counts": file.digest}, InMemory()


def _smooth(
    counts: Any, tokenizer: Any, settings: dict[str, Any], heldout: str | None, source: TextSource, threads: int,
    storage: Any, run: Run,
) -> tuple[Any, list[str]]:  # fmt: skip
    from lmkit.ngram.backoff_estimation import Settings, estimate, uniform
    from lmkit.ngram.backoff_model import NGram

    if settings["order"] == 0:
        if not counts.levels[0].count.sum():
            raise DataError("no text to count: the input is empty")
        done = uniform(tokenizer.size, open_vocabulary=settings["open_vocabulary"])
    else:
        weights = _weights(counts, tokenizer, heldout, source, run) if settings["smoothing"] == "jelinek-mercer" else ()
        done = estimate(
            counts,
            Settings(
                settings["smoothing"], settings["prune"], settings["open_vocabulary"], settings.get("k", 1.0),
                settings.get("alpha", 0.4), settings.get("discount"), weights, threads,
            ),
            storage,
            run.terminal.stage,
        )  # fmt: skip
    return NGram(done.tables, tokenizer, {**settings, **done.describe(), "suffix_closed": True}), done.notes


def _weights(counts: Any, tokenizer: Any, heldout: str | None, source: TextSource, run: Run) -> Any:
    from lmkit.ngram import jelinek_mercer

    if heldout is None:
        return jelinek_mercer.leaving_one_out(counts, tokenizer.size)
    reader = running_text.text_reader(run.settings["encoding_errors"], source, raw=tokenizer.accepts_any_bytes)
    lines = [tokenizer.encode_block(block) for block in reader.blocks(heldout)]
    running_text.warn_replaced_bytes(run, reader)
    if not lines:
        raise DataError(f"{streams.display(heldout)}: no text to tune weights on")
    return jelinek_mercer.on_heldout(counts, tokenizer.size, lines)
