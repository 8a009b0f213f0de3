"""`lmkit next`: the distribution over the next token."""

import math
from typing import Annotated

import typer

from lmkit.commands import models as opening
from lmkit.commands.options import (
    Epsilon,
    Eta,
    FilterOrder,
    Json,
    MinP,
    ModelOption,
    ModelThreads,
    Output,
    Prompt,
    Run,
    Temperature,
    TopK,
    TopP,
    Typical,
    Window,
)
from lmkit.edge import streams
from lmkit.edge.records import Table


def next_token(
    run: Run,
    model: ModelOption = None,
    prompt: Prompt = "",
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="How many tokens to show.")] = 10,
    everything: Annotated[bool, typer.Option("--all", help="Show every token.")] = False,
    logits: Annotated[bool, typer.Option("--logits", help="Show the numbers before normalisation too.")] = False,
    temperature: Temperature = 1.0,
    top_k: TopK = 0,
    top_p: TopP = 1.0,
    min_p: MinP = 0.0,
    typical: Typical = 1.0,
    epsilon: Epsilon = 0.0,
    eta: Eta = 0.0,
    order: FilterOrder = None,
    window: Window = False,
    threads: ModelThreads = None,
    json: Json = False,
    output: Output = None,
) -> None:
    """The distribution over the next token after a prompt.

    Most probable first, ties by id. Without --prompt it is the beginning of a line, or of a text
    where the model reads texts of several lines; its prompts may have several. The filters are
    those of `lmkit sample`; with them the probabilities are those that would be drawn from. The
    end of a line is `</s>`.

    Examples:
      lmkit next -m model.lm --prompt "once upon a" --top 5
      lmkit next -m model.lm --prompt "the" --all --json
      lmkit next -m model.lm --temperature 0.5 --top-k 20
    """
    name = model if model is not None else streams.STDIN
    opening.use_threads(threads, name)
    from lmkit.using import softmax
    from lmkit.using.generation import prompts
    from lmkit.using.generation.chains import Filtering

    chain = Filtering(temperature, top_k, top_p, min_p, typical, epsilon, eta, order).chain()
    opened = opening.open_language_model(name)
    data = streams.argument_bytes(prompt, raw=opened.tokenizer.takes_bytes)
    raw = opened.next(prompts.state_after(opened, prompts.seen(opened, data, window=window)))
    logs = softmax.normalise(chain(softmax.normalise(raw)[None]).spread(len(raw))[0])
    columns = ["token", "id", "probability", "nats", *(["logit"] if logits else [])]
    with streams.open_output(output, inputs=[name]) as out:
        table = Table(out, columns, as_json=json)
        for token in softmax.ranked(logs, None if everything else top):
            record = {
                "token": opened.tokenizer.piece(token).decode(errors="replace"), "id": token,
                "probability": math.exp(logs[token]), "nats": float(logs[token]),
            }  # fmt: skip
            table.row({**record, "logit": float(raw[token])} if logits else record)
