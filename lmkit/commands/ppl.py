"""`lmkit ppl`: perplexity of texts under one or several models, and under their mixture."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from lmkit.commands.loading import mixtures, running_text, scoring_models
from lmkit.commands.loading import models as opening
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import Bare, Json, ModelsOption, NoEos, Output, Pseudo, Run, Threads
from lmkit.commands.options.text_input import TextFiles
from lmkit.commands.reports import pair_scoring, pseudo_scoring
from lmkit.commands.reports.perplexity import ModelScore, ScoreReport, rank_models
from lmkit.errors import DataError, UsageError
from lmkit.io import outputs, streams
from lmkit.io.records import Table, to_json, write_pairs
from lmkit.io.text_sources import SourceReader
from lmkit.protocols import LanguageModel

if TYPE_CHECKING:
    from lmkit.evaluation.perplexity import Totals

BLOCK = 1 << 20  # enough for one task, small enough to share among threads


@with_groups()
def ppl(
    run: Run,
    files: TextFiles = None,
    model: ModelsOption = None,
    no_eos: NoEos = False,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Print each line's probability, and the perplexity by three formulas.",
        )
    ] = False,
    compare: Annotated[
        list[str] | None,
        typer.Option(
            "--compare", metavar="MODEL...", show_default=False,
            help="Compare with more models. The totals are printed best first, by bits per byte, and stderr names the "
            "best.",
        ),
    ] = None,
    pseudo: Pseudo = False,
    pairs: Annotated[
        str | None,
        typer.Option(
            "--pairs", metavar="FILE", show_default=False,
            help="Perplexity of targets given their sources, under an encoder-decoder: pairs as TSV or JSON Lines.",
        ),
    ] = None,
    *,
    scoring: scoring_models.ScoringOptions,
    threads: Threads = None,
    json: Json = False,
    bare: Bare = False,
    output: Output = None,
) -> None:  # fmt: skip
    """Compute perplexity of texts under any model.

    Each token of each line is predicted once, then the end of the line. `perplexity` covers all tokens,
    `perplexity_known` leaves out unknown ones. Several FILEs get
    a line each and a total. Compare models on one text by bits per byte; by perplexity only if `tokens` and
    `vocabulary` of their signatures agree. Equal signature and text: equal numbers.

    Line models start anew with each line. Others read each file as one sequence, and transformers score long
    texts in sliding windows that advance by --stride. The start token that --bos adds is context only. With --bos
    never, a text's first token is that context.

    --compare MODEL..., given after the FILEs, prints totals best first; with -b, only the name of the best
    model. --mix adds the interpolated model, p = sum of w_i p_i. `--mix auto` estimates the weights by EM on
    --mix-text.

    --pseudo takes an encoder: exp of minus the mean pseudo-log-likelihood (Salazar et al. 2020), line by line.

    Examples:
      lmkit ppl -m model.lm test.txt
      lmkit ngram fit train.txt | lmkit ppl test.txt
      lmkit ppl -b -m model.lm < test.txt
      lmkit ppl -m small.lm -m large.arpa --json test.txt
      lmkit ppl --compare one.lm two.lm < dev.txt
      lmkit ppl -m mt.lm --pairs test.tsv
      lmkit ppl -m neural.lm -m ngram.lm --mix auto --mix-text dev.txt test.txt
    """
    if pseudo:
        pseudo_scoring.refuse(scoring, {"--explain": explain, "--compare": bool(compare), "--no-eos": no_eos})
        pseudo_scoring.perplexity(
            run, model, files, scoring, threads=threads, as_json=json, bare=bare, output=output
        )  # fmt: skip
        return
    if pairs is not None:
        pair_scoring.refuse(scoring, {"--explain": explain, "--compare": bool(compare), "FILE": bool(files)})
        names, _ = opening.sources(model or [], [pairs])
        pair_scoring.perplexity(run, names, pairs, scoring, eos=not no_eos, as_json=json, bare=bare, output=output)
        return
    names, texts = opening.sources([*(model or []), *(compare or [])], files)
    opening.check_single_stdin(*names, *texts, scoring.mix_text)
    if explain and (bare or len(names) > 1):
        raise UsageError("--explain takes one model, and cannot be combined with --bare")
    weights = mixtures.weights_of(scoring, len(names))
    if no_eos and scoring.mix is not None:
        raise UsageError("--no-eos and --mix exclude each other", hint="a mixture reads the whole text")
    with outputs.open_output(output) as out:
        models = scoring_models.open_scoring_models(names, scoring)
        check_ends(names, models, no_eos=no_eos, explain=explain)
        scoring_models.use_threads(threads, names, models)
        reader = running_text.text_reader(
            scoring.encoding_errors, scoring.source, raw=opening.all_accept_any_bytes(models), block=BLOCK
        )
        if explain:
            _explain(run, out, models[0], reader, texts, eos=not no_eos, as_json=json)
            return
        scored = _scored(run, names, models, scoring, eos=not no_eos)
        if scoring.mix is not None:
            scored.append(_mixture(run, models, weights, reader, scoring))
        shown = ScoreReport(run, out, as_json=json, bare=bare, several_models=len(scored) > 1)
        with run.terminal.progress("scoring", streams.size_of(texts)) as progress:
            over = progress.over
            for text, totals in totals_of_texts(run, scored, reader, texts, over, eos=not no_eos, threads=threads):
                if len(texts) > 1:
                    for one, total in zip(scored, totals, strict=True):
                        shown.add(one.record(streams.display(text), total))
        ordered = rank_models(run, scored) if compare else scored
        if bare and compare:
            out.line(ordered[0].name)
            return
        for one in ordered:
            shown.add(one.record("total" if len(texts) > 1 else streams.display(texts[0]), one.total), last=True)
            one.tell_impossible()
        running_text.warn_replaced_bytes(run, reader)


def check_ends(names: Sequence[str], models: Sequence[LanguageModel], *, no_eos: bool, explain: bool) -> None:
    """Raises UsageError where lines are asked for, but a model reads over their ends."""
    from lmkit.data.sequences import reaches_over_lines

    for name, model in zip(names, models, strict=True):
        if not reaches_over_lines(model.form):
            continue
        if no_eos:
            raise UsageError(
                f"--no-eos: line ends are ordinary tokens of {streams.display(name)}, "
                "from which the next line is predicted"
            )
        if explain:
            raise UsageError(
                f"--explain scores each line separately, but {streams.display(name)} reads across line ends",
                hint="`lmkit score` scores each line separately",
            )


def _scored(
    run: Run, names: Sequence[str], models: Sequence[LanguageModel], asked: scoring_models.ScoringOptions, *, eos: bool
) -> list[ModelScore]:
    """The models with their signatures."""
    return [
        ModelScore(run, streams.display(name), model, scoring_models.signature_parts(model, asked, eos=eos))
        for name, model in zip(names, models, strict=True)
    ]


def _mixture(
    run: Run, models: Sequence[LanguageModel], weights: Sequence[float] | None, reader: SourceReader,
    asked: scoring_models.ScoringOptions,
) -> ModelScore:  # fmt: skip
    """The mixture of the models with its signature."""
    mixture = mixtures.mixture_of(run, models, weights, reader, asked.mix_text)
    parts = scoring_models.signature_parts(mixture, asked, eos=True)
    return ModelScore(run, "mixture", mixture, parts, weights=mixture.weights.tolist())


def totals_of_texts(
    run: Run, scored: Sequence[ModelScore], reader: SourceReader, texts: Sequence[str],
    over: Callable[[Iterator[bytes]], Iterator[bytes]] = iter, *, eos: bool = True, threads: int | None = None,
) -> "Iterator[tuple[str, list[Totals]]]":  # fmt: skip
    """Yield each text with its totals under each model, which are added to the model's own; `over` sees all blocks.

    Raises DataError where there is no text.
    """
    from lmkit.evaluation.perplexity import Totals

    models = [one.model for one in scored]
    for text in texts:
        totals = [Totals() for _ in scored]
        for blocks in running_text.documents_for(run, reader, text, models):
            parts = _evaluate(scored, over(blocks), eos=eos, threads=threads)
            for one, total, part in zip(scored, totals, parts, strict=True):
                one.add(part)
                total.add(part)
        yield text, totals
    if not (scored[0].total.tokens and scored[0].total.bytes):  # nothing but the end of a document is no text
        raise DataError("no text to score: the input is empty")


def _evaluate(
    scored: Sequence[ModelScore], blocks: Iterator[bytes], *, eos: bool, threads: int | None
) -> "list[Totals]":
    """A text's totals under each model, read once."""
    from lmkit.evaluation.mixture import Mixture, evaluate_each
    from lmkit.evaluation.perplexity import evaluate_all

    models = [one.model for one in scored]
    if isinstance(models[-1], Mixture):
        return evaluate_each(models[-1], blocks)
    return evaluate_all(models, blocks, eos=eos, threads=opening.core_count(threads))


def _explain(
    run: Run,
    out: outputs.Output,
    model: LanguageModel,
    reader: SourceReader,
    texts: list[str],
    *,
    eos: bool,
    as_json: bool,
) -> None:
    """Per line: probability, tokens and perplexity; then the text's perplexity by three formulas."""
    from lmkit.evaluation.perplexity import lines_of, probability, three_perplexities

    lines = Table(out, ("line", "tokens", "nats", "probability", "perplexity", "text"), as_json=as_json)
    everything = []
    for number, line in enumerate(lines_of(model, running_text.read_blocks(run, reader, texts, "scoring"), eos=eos), 1):
        everything.append(line)
        lines.row(
            {
                "line": number, "tokens": len(line.nats), "nats": line.total, "probability": probability(line.total),
                "perplexity": line.perplexity, "text": line.text.decode(errors="replace"),
            }
        )  # fmt: skip
    summary = three_perplexities(model, everything)
    if as_json:
        out.line(to_json(run.signed(summary)))
    else:
        write_pairs(out, summary.items(), digits=9)
