"""`lmkit sample`: generate text."""

from lmkit.commands import models as opening
from lmkit.commands import scoring
from lmkit.commands.generation import constraining, inputs
from lmkit.commands.generation import options as own
from lmkit.commands.options import (
    Device,
    EncodingErrors,
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
from lmkit.commands.sections import in_sections
from lmkit.edge import streams
from lmkit.errors import UsageError


@in_sections(own.SECTIONS)
def sample(
    run: Run,
    files: own.Prompts = None,
    model: ModelOption = None,
    prompt: Prompt = "",
    form: own.InputForm = "auto",
    encoding_errors: EncodingErrors = "strict",
    number: own.Number = 1,
    max_tokens: own.MaxTokens = 100,
    stop: own.Stop = None,
    window: Window = False,
    seed: Seed = 0,
    greedy: own.Greedy = False,
    ancestral: own.Ancestral = False,
    temperature: Temperature = 1.0,
    top_k: TopK = 0,
    top_p: TopP = 1.0,
    order: FilterOrder = "temperature,top-k,top-p",
    unknown: own.Unknown = False,
    json_schema: constraining.JsonSchema = None,
    regex: constraining.Regex = None,
    choice: constraining.Choices = None,
    grammar: constraining.GrammarFile = None,
    format: constraining.Format = None,
    batch: own.Batch = 32,
    threads: ModelThreads = None,
    device: Device = "cpu",
    echo: own.Echo = False,
    separator: own.Separator = None,
    logprobs: own.Logprobs = None,
    explain: own.Explain = False,
    json: Json = False,
    output: Output = None,
) -> None:
    r"""Generate text from any model.

    Goes on from --prompt, -n times, or from each line of FILEs; without any a text begins
    afresh. The text ends at the end of a line, at --stop or after --max-tokens; --json says which,
    as `finish_reason` (`eos`, `stop`, `length`). Where the model reads texts of several lines, so
    may the prompt and what is generated be; it ends with a document, where the model knows those.

    Text goes to stdout as it grows. One text keeps its line ends; of several each is a line, line
    ends within it shown as `\n`, unless --separator parts them. A FILE in JSON Lines is answered
    in JSON Lines: its records have a `prompt`, and may have an `id`; all else in them passes through.

    The same seed gives the same text, whatever the batch size: random numbers come from the seed and
    the id of a prompt, which is the number of its line where it has none, so that records with an
    `id` get the same texts in any order. Temperature, top-k and top-p are applied in the order of
    --order, each to what the one before left; --explain shows what they left at each step, as a table
    or, with --json, as `steps`. --logprobs is about the model's own probabilities (`logprobs`).

    With --json-schema, --regex, --choice or --grammar each text is valid, whatever the model: it
    ends (`stop`) when nothing but its end may follow, and where it may also go on when the model
    ends it; one that has no token for that goes on. A text cut by --max-tokens or --stop before it
    is complete gives status 1. A part of JSON that the schema can't be held to is an error.

    Examples:
      lmkit sample -m model.lm -n 5
      lmkit sample -m model.lm --prompt "once upon" --greedy --echo
      lmkit sample -m model.lm -t 0.8 --top-k 40 --top-p 0.95 --seed 7 --json
      lmkit sample -m model.lm --prompt "Answer: " --choice yes --choice no
      lmkit sample -m model.lm prompts.txt > continued.txt
      lmkit sample -m model.lm -n 4 prompts.jsonl -o answers.jsonl
    """
    _check_ways(greedy, ancestral, temperature, top_k, top_p)
    inputs.check(prompt, files, form)
    as_records = json or inputs.has_records(files, form)
    _check_output(as_records, explain, separator, logprobs)
    if "" in (stop or []):
        raise UsageError("--stop with no text would stop everything")
    name = model if model is not None else streams.STDIN
    constraint = constraining.Asked(name, json_schema, regex, choice, grammar)
    opening.one_stdin(name, *(files or []), constraint.file)
    opening.use_threads(threads, name)
    from lmkit.commands.generation import running, telling, watching
    from lmkit.using.generation import filters, prompts
    from lmkit.using.generation.choosing import Chooser
    from lmkit.using.generation.engine import Generated, Generator, OneByOne, Together
    from lmkit.using.generation.stepping import is_batched

    chain = filters.chain(temperature_=temperature, k=top_k, p=top_p, order=order)
    opened = scoring.open_generating_model(name, device)
    verdicts = constraining.Verdicts(opened, constraint, format)
    raw = opened.tokenizer.takes_bytes
    source = inputs.Prompts(run, files or [], form, errors=encoding_errors, raw=raw)
    sampled = bool(files) and number > 1
    several = bool(files) or number > 1
    with streams.open_output(output, inputs=[name, *(files or [])], live=True) as out:
        groups = source.groups() if files else [[inputs.Prompt(streams.argument_bytes(prompt, raw=raw), 1)]]
        chooser = Chooser(chain, never=prompts.never(opened, unknown=unknown), greedy=greedy or temperature == 0)
        watch = watching.watch(opened, most=logprobs, explain=explain)
        batched = is_batched(opened) and several and batch > 1 and watch is None
        stepper = Together(opened, chooser) if batched else OneByOne(opened, chooser, watch)
        stops = [streams.argument_bytes(text, raw=True) for text in stop or []]
        generator = Generator(opened, stepper, most=max_tokens, stops=stops, batch=batch if batched else 1)
        teller: telling.Teller
        if as_records:
            shown = {"order": chain.names}
            teller = telling.Records(out, opened, lambda done: {**shown, **watching.said(done)}, sampled=sampled)
        elif explain:
            run.terminal.notice(f"order {','.join(chain.names)}")
            teller = watching.Steps(out, sampled=sampled)
        else:
            teller = telling.Texts(out, opened, echo=echo, several=several, separator=separator)
        asking = running.Asking(
            opened, seed, number, window, lambda prompt: {"constraint": verdicts.constraint(prompt.record)}
        )
        for event in running.events(generator, asking, groups):
            teller.take(event)
            if isinstance(event, Generated):
                verdicts.take(event, event.request.label.id)
    verdicts.close()


def _check_output(as_records: bool, explain: bool, separator: str | None, logprobs: int | None) -> None:
    """Raises UsageError for options about another form of output."""
    if separator is not None and (as_records or explain):
        raise UsageError(f"--separator is about texts, not {'records' if as_records else 'tables'}")
    if logprobs is not None and not as_records:
        raise UsageError("--logprobs is about records", hint="--json gives these")


def _check_ways(greedy: bool, ancestral: bool, temperature: float, top_k: int, top_p: float) -> None:
    """Raises UsageError for ways to choose a token that do not go together."""
    filtered = {"--temperature": temperature != 1, "--top-k": top_k != 0, "--top-p": top_p != 1}
    ways = [name for name, used in {"--greedy": greedy, "--ancestral": ancestral}.items() if used]
    if len(ways) > 1 or (ways and any(filtered.values())):
        others = [name for name, used in filtered.items() if used]
        raise UsageError(f"{' and '.join([*ways, *others])} do not go together")
