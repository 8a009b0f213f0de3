"""`lmkit next`: the distribution over the next token."""

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.loading import scoring_models
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.sampling import FilterOptions
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
from lmkit.io import streams
from lmkit.io.records import Table, cell
from lmkit.io.terminal import bars

if TYPE_CHECKING:  # numpy is not needed for help
    from lmkit.protocols import F64, LanguageModel, State

ROUNDING = 1e-3
"""How far from 1 the sum of probabilities may be in a file of rounded digits."""


@with_groups()
def next_token(
    run: Run,
    model: ModelOption = None,
    prompt: Prompt = "",
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="How many tokens to show.")] = 10,
    everything: Annotated[bool, typer.Option("--all", help="Show every token.")] = False,
    logits: Annotated[
        bool, typer.Option("--logits", help="Show the model's own numbers too, before normalisation and filters.")
    ] = False,
    plot: Annotated[bool, typer.Option("--plot", help="Draw each probability as a bar.")] = False,
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
    """The distribution over the next token after a prompt.

    Most probable first, ties by id. Without --prompt it is the beginning of a line, or of a text
    where the model reads texts of several lines; its prompts may have several. The filters are
    those of `lmkit sample`; with them the probabilities are those that would be drawn from, so that
    the unknown word has none. The end of a line is `</s>`.

    Without filters the probabilities are those that `lmkit score` counts, also where an ARPA file's
    or stupid backoff's do not sum to 1, which stderr says; sample draws in proportion to them.

    Logits are what a neural model gives, of which the probabilities are the softmax. N-gram models
    have none: for these they are natural logarithms of the model's probabilities.

    Examples:
      lmkit next -m model.lm --prompt "once upon a" --top 5
      lmkit next -m model.lm --prompt "the" --all --json
      lmkit next -m model.lm --temperature 0.5 --top-k 20 --plot
    """
    if plot and (json or logits):
        raise UsageError(f"--plot and {'--json' if json else '--logits'} exclude each other")
    name = model if model is not None else streams.STDIN
    opening.use_threads(threads, name)
    import numpy as np

    from lmkit.evaluation import perplexity
    from lmkit.generation import log_softmax, prompt_encoding

    chain = filters.filtering.chain()
    opened = opening.with_special(scoring_models.open_generating_model(name, device), parse_special)
    opened = opening.with_bos(opened, bos)
    data = streams.argument_bytes(prompt, raw=opened.tokenizer.accepts_any_bytes)
    scoring_models.tell_unknown(run, opened, data)
    state = prompt_encoding.state_after(opened, prompt_encoding.seen(opened, data, window=window))
    logs = opened.next(state)
    if filters.filtering.used:
        logs = log_softmax.normalise(logs)
        logs[prompt_encoding.never(opened, unknown=False)] = -np.inf  # what is never drawn is left out too
        logs = log_softmax.normalise(chain(logs[None]).spread(len(logs))[0])
    else:
        _tell_sum(run, name, logs)
    raw = _logits(opened, state) if logits else None
    records: list[dict[str, Any]] = [
        {
            "token": opened.tokenizer.piece(token).decode(errors="replace"), "id": token,
            "probability": perplexity.probability(float(logs[token])), "nats": float(logs[token]),
            **({"logit": float(raw[token])} if raw is not None else {}),
        }
        for token in log_softmax.ranked(logs, None if everything else top)
    ]  # fmt: skip
    with streams.open_output(output, inputs=[name]) as out:
        if plot:
            for line in bars([(cell(r["token"]), cell(r["probability"]), r["probability"]) for r in records]):
                out.line(line)
            return
        table = Table(out, ("token", "id", "probability", "nats", *(["logit"] if logits else [])), as_json=json)
        for record in records:
            table.row(record)


def _tell_sum(run: Run, name: str, logs: "F64") -> None:
    """Says so where the probabilities that a model gives do not sum to one."""
    from lmkit.evaluation.perplexity import probability

    total = math.fsum(map(probability, logs.tolist()))
    if abs(total - 1) > ROUNDING:
        run.terminal.notice(
            f"{streams.display(name)}: the probabilities after this prompt sum to {cell(total)} and are shown "
            "as `lmkit score` counts them; sample draws in proportion to them"
        )


def _logits(model: "LanguageModel", state: "State") -> "F64":
    """What the model gives before it is normalised; natural logarithms where it gives probabilities."""
    from lmkit.protocols import has_logits

    return model.logits(state) if has_logits(model) else model.next(state)
