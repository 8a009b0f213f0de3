"""`lmkit next`: the distribution over the next token."""

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.loading import scoring_models
from lmkit.commands.options.figures import Plot, Term
from lmkit.commands.options.option_groups import in_sections, with_groups
from lmkit.commands.options.sampling import FILTERS, FilterOptions
from lmkit.commands.options.standard import (
    Bos,
    Device,
    Json,
    ModelOption,
    ModelThreads,
    Output,
    ParseSpecial,
    Prompt,
    Run,
    Window,
)
from lmkit.errors import UsageError
from lmkit.io import outputs, streams
from lmkit.io.figures import charts, files
from lmkit.io.figures.style import SOLID, shown_token
from lmkit.io.records import Table, cell
from lmkit.io.tables import bars
from lmkit.protocols import is_conditional

if TYPE_CHECKING:  # numpy is not needed for help
    from lmkit.protocols import F64, LanguageModel, State, StoredModel

ROUNDING = 1e-3
"""How far from 1 the sum of probabilities may be in a file of rounded digits."""
SECTIONS = {
    "Input": ("model", "prompt", "parse_special", "bos", "window"),
    "Sampling": (*FILTERS, "order"),
    "Output": ("top", "everything", "logits", "term", "plot", "json", "output"),
    "Speed": ("threads", "device"),
}


@in_sections(SECTIONS)
@with_groups()
def next_token(
    run: Run,
    model: ModelOption = None,
    prompt: Prompt = "",
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="Number of tokens to show.")] = 10,
    everything: Annotated[bool, typer.Option("--all", help="Show all tokens.")] = False,
    logits: Annotated[
        bool, typer.Option("--logits", help="Show logits too: the model's outputs before softmax and filters.")
    ] = False,
    term: Term = False,
    plot: Plot = None,
    *,
    filters: FilterOptions,
    parse_special: ParseSpecial = False,
    bos: Bos = "auto",
    window: Window = False,
    threads: ModelThreads = None,
    device: Device = "cpu",
    json: Json = False,
    output: Output = None,
) -> None:
    """Show the distribution of the next token after a prompt.

    Tokens are listed by probability, ties by id; `</s>` is the end of a line. Without --prompt the
    distribution is that of the beginning of a text (of a line, for models that read single lines).

    With sampling filters, which are those of `lmkit sample`, the probabilities are those that tokens are
    drawn from; the unknown token then has probability zero. Without filters they are those that `lmkit
    score` uses. A warning reports probabilities that do not sum to 1 (ARPA files, stupid backoff).

    --term and --plot draw bars, with filters beside the probabilities of the model.

    --logits shows a neural model's outputs before softmax, or an n-gram model's log-probabilities in nats.

    Examples:
      lmkit next -m model.lm --prompt "once upon a" --top 5
      lmkit next -m model.lm --prompt "the" --all --json
      lmkit next -m model.lm --temperature 0.5 --top-k 20 --plot next.svg
    """
    if term and (json or logits):
        raise UsageError(f"--term and {'--json' if json else '--logits'} exclude each other")
    name = model if model is not None else streams.STDIN
    opening.use_threads(threads, name)
    _ = filters.filtering.names  # a wrong order is reported before a model is opened
    opened = opening.with_special(scoring_models.open_generating_model(name, device, sources=True), parse_special)
    opened = opening.with_bos(opened, bos)
    data = streams.argument_bytes(prompt, raw=opened.tokenizer.accepts_any_bytes)
    if is_conditional(opened):
        opened, data = opened.for_source(opened.source_ids(data, window=window)), b""
    records = next_records(
        run, name, opened, data, filters, top=None if everything else top, window=window, logits=logits
    )
    if plot is not None:
        before = None
        if filters.filtering.used:
            plain = next_records(run, name, opened, data, FilterOptions(), window=window, quiet=True)
            before = {record["id"]: record["probability"] for record in plain}
        files.write(plot, _figure(prompt, records, before))
    with outputs.open_output(output) as out:
        if term:
            for line in bars(
                [(cell(r["token"]), cell(r["probability"]), r["probability"]) for r in records], out.columns
            ):
                out.line(line)
            return
        Table(out, ("token", "id", "probability", "nats", *(["logit"] if logits else [])), as_json=json).rows(records)


def next_records(
    run: Run, name: str, model: "StoredModel", prompt: bytes, filters: FilterOptions, *, top: int | None = None,
    window: bool = False, logits: bool = False, quiet: bool = False,
) -> list[dict[str, Any]]:  # fmt: skip
    """The `top` most probable tokens after a prompt, or all of them, as records; `quiet`: without warnings.

    Raises DataError for the prompt.
    """
    import numpy as np

    from lmkit.evaluation import perplexity
    from lmkit.generation import log_softmax, prompt_encoding

    chain = filters.filtering.chain()
    if not quiet:
        scoring_models.tell_unknown(run, model, prompt)
    state = prompt_encoding.state_after(model, prompt_encoding.seen(model, prompt, window=window))
    logs = model.next(state)
    if filters.filtering.used:
        logs = log_softmax.normalise(logs)
        logs[prompt_encoding.never(model, unknown=False)] = -np.inf  # nor tokens that are never drawn
        logs = log_softmax.normalise(chain(logs[None]).spread(len(logs))[0])
    elif not quiet:
        _tell_sum(run, name, logs)
    raw = _logits(model, state) if logits else None
    return [
        {
            "token": model.tokenizer.piece(token).decode(errors="replace"), "id": token,
            "probability": perplexity.probability(float(logs[token])), "nats": float(logs[token]),
            **({"logit": float(raw[token])} if raw is not None else {}),
        }
        for token in log_softmax.ranked(logs, top)
    ]  # fmt: skip


def _figure(prompt: str, records: list[dict[str, Any]], before: dict[int, float] | None) -> charts.Figure:
    """Bars of the tokens' probabilities; with filters, beside those before them."""
    names = [shown_token(record["token"]) for record in records]
    after = [record["probability"] for record in records]
    series = [charts.Bars("", after)]
    if before is not None:
        model = charts.Bars("the model's", [before[record["id"]] for record in records], color=SOLID)
        series = [model, charts.Bars("drawn from", after, color=0)]
    title = f"Next token after “{prompt}”" if prompt else "First token"
    return charts.bars(title, names, series, y="probability", flat=True)


def _tell_sum(run: Run, name: str, logs: "F64") -> None:
    """Warns of probabilities that do not sum to one."""
    from lmkit.evaluation.perplexity import probability

    total = math.fsum(map(probability, logs.tolist()))
    if abs(total - 1) > ROUNDING:
        run.terminal.notice(
            f"{streams.display(name)}: the probabilities after this prompt sum to {cell(total)}; shown as "
            "`lmkit score` uses them (`lmkit sample` normalises them)"
        )


def _logits(model: "LanguageModel", state: "State") -> "F64":
    """The logits of a model; natural logarithms where it gives probabilities."""
    from lmkit.protocols import has_logits

    return model.logits(state) if has_logits(model) else model.next(state)
