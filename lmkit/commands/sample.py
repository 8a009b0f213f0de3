"""`lmkit sample`: generate text."""

from typing import Annotated, Any

import typer

from lmkit.commands import models as opening
from lmkit.commands.generation import drafting
from lmkit.commands.options import (
    FilterOrder,
    Json,
    ModelOption,
    ModelThreads,
    Output,
    Prompt,
    Run,
    Seed,
    Temperature,
    TopK,
    TopP,
    Window,
)
from lmkit.edge import streams
from lmkit.edge.records import to_json
from lmkit.errors import UsageError

BATCH = 32  # texts that are run at once, where the model can


def sample(
    run: Run,
    model: ModelOption = None,
    prompt: Prompt = "",
    number: Annotated[int, typer.Option("--number", "-n", metavar="N", min=1, help="Samples to draw.")] = 1,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", metavar="N", min=1, help="Longest continuation, in tokens.")
    ] = 100,
    seed: Seed = 0,
    greedy: Annotated[bool, typer.Option("--greedy", help="Always the most probable token; ties: lowest id.")] = False,
    ancestral: Annotated[
        bool, typer.Option("--ancestral", help="Draw from the model's own distribution (the default).")
    ] = False,
    temperature: Temperature = 1.0,
    top_k: TopK = 0,
    top_p: TopP = 1.0,
    order: FilterOrder = "temperature,top-k,top-p",
    stop: Annotated[
        list[str] | None,
        typer.Option("--stop", metavar="TEXT", help="End before this text; may be repeated.", show_default=False),
    ] = None,
    echo: Annotated[bool, typer.Option("--echo", help="Print the prompt in front of each continuation.")] = False,
    window: Window = False,
    threads: ModelThreads = None,
    unknown: Annotated[bool, typer.Option("--unknown", help="Let the unknown word be drawn too.")] = False,
    draft: drafting.DraftOption = None,
    lookup: drafting.LookupOption = None,
    draft_tokens: drafting.DraftTokens = None,
    json: Json = False,
    output: Output = None,
) -> None:
    """Generate text from any model.

    Draws -n continuations of the prompt, one a line; without --prompt each is a line of its
    own. The same seed gives the same text, whatever else is drawn. Temperature, top-k and
    top-p are applied in the order of --order, each to what the one before left. The text ends
    at the end of a line, at --stop or after --max-tokens; --json says which, as
    `finish_reason` (`eos`, `stop`, `length`). Where the model reads texts of several lines, so
    may the prompt and what is generated be; it ends with a document, where the model knows those.
    With --draft or --lookup some tokens are guessed and looked at together, which is faster where
    guesses are often right, and the text is the same.

    Examples:
      lmkit sample -m model.lm -n 5
      lmkit sample -m model.lm --prompt "once upon" --greedy --echo
      lmkit sample -m model.lm -t 0.8 --top-k 40 --top-p 0.95 --seed 7 --json
      lmkit sample -m gpt.lm --draft ngram.lm --lookup 3 --prompt "once upon"
    """
    filtered = {"--temperature": temperature != 1, "--top-k": top_k != 0, "--top-p": top_p != 1}
    ways = [name for name, used in {"--greedy": greedy, "--ancestral": ancestral}.items() if used]
    if len(ways) > 1 or (ways and any(filtered.values())):
        others = [name for name, used in filtered.items() if used]
        raise UsageError(f"{' and '.join([*ways, *others])} do not go together")
    if "" in (stop or []):
        raise UsageError("--stop with no text would stop everything")
    name = model if model is not None else streams.STDIN
    drafted = drafting.check(draft, lookup, draft_tokens, name, {})
    opening.use_threads(threads, name)
    from lmkit.using.generation import filters, noise, prompts
    from lmkit.using.generation.choosing import Chooser
    from lmkit.using.generation.engine import Generated, Generator, OneByOne, Request, Stepper, Together
    from lmkit.using.generation.stepping import is_batched

    chain = filters.chain(temperature_=temperature, k=top_k, p=top_p, order=order)
    opened = opening.open_language_model(name)
    with streams.open_output(output, inputs=[name]) as out:
        data = streams.argument_bytes(prompt, raw=opened.tokenizer.takes_bytes)
        ids = prompts.seen(opened, data, window=window)
        state = prompts.state_after(opened, ids)
        chooser = Chooser(chain, never=prompts.never(opened, unknown=unknown), greedy=greedy or temperature == 0)
        batched = is_batched(opened) and number > 1 and not drafted
        speculation = drafting.stepper(opened, chooser, draft, lookup, draft_tokens) if drafted else None
        stepper: Stepper = speculation or (Together(opened, chooser) if batched else OneByOne(opened, chooser))
        stops = [streams.argument_bytes(text, raw=True) for text in stop or []]
        generator = Generator(opened, stepper, most=max_tokens, stops=stops, batch=BATCH if batched else 1)
        requests = (Request(noise.stream_of(seed, "0", index), ids, state, label=index) for index in range(number))
        for event in generator.run(requests):
            if not isinstance(event, Generated):
                continue
            done = event
            if json:
                record: dict[str, Any] = {
                    "id": done.request.label,
                    "prompt": data.decode(errors="replace"),
                    "text": done.text.decode(errors="replace"),
                }
                record |= {"tokens": len(done.ids), "nats": done.nats(opened), "finish_reason": done.finish_reason}
                out.line(to_json(record | {"order": chain.names}))
                continue
            out.answer(_shown(opened, data if echo else b"", done.text))
        if speculation is not None:
            drafting.tell(run, speculation)


def _shown(model: Any, prompt: bytes, text: bytes) -> bytes:
    """A prompt and what follows it, ended as lines are; line ends within stay where the model has such texts."""
    several = model.form.continuous
    at_line_end = several and b"\n" in (prompt[-1:], text[:1])
    joint = b" " if model.tokenizer.kind == "word" and prompt and text and not at_line_end else b""
    shown = (prompt + joint + text).decode(errors="replace")
    if not several:
        shown = shown.replace("\n", "\\n")
    return (shown if several and shown.endswith("\n") else shown + "\n").encode()
