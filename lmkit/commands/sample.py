"""`lmkit sample`: generate text."""

from typing import Any

from lmkit.commands import models as opening
from lmkit.commands import scoring
from lmkit.commands.generation import constraining, inputs, searching
from lmkit.commands.generation import options as own
from lmkit.commands.generation.filtering import Asked
from lmkit.commands.options import (
    Device,
    EncodingErrors,
    Epsilon,
    Eta,
    FilterOrder,
    FrequencyPenalty,
    Json,
    MinP,
    MirostatRate,
    MirostatTarget,
    ModelOption,
    ModelThreads,
    NoRepeatNgram,
    Output,
    PenaltyScope,
    PresencePenalty,
    Prompt,
    RepetitionPenalty,
    Run,
    Seed,
    Temperature,
    TopK,
    TopP,
    Typical,
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
    beam: searching.Beam = 0,
    length_penalty: searching.LengthPenalty = 0.0,
    groups: searching.Groups = 1,
    diversity: searching.Diversity = None,
    keep_greedy: searching.KeepGreedy = False,
    contrastive: searching.Contrastive = None,
    temperature: Temperature = 1.0,
    top_k: TopK = 0,
    top_p: TopP = 1.0,
    min_p: MinP = 0.0,
    typical: Typical = 1.0,
    epsilon: Epsilon = 0.0,
    eta: Eta = 0.0,
    order: FilterOrder = None,
    repetition_penalty: RepetitionPenalty = 1.0,
    presence_penalty: PresencePenalty = 0.0,
    frequency_penalty: FrequencyPenalty = 0.0,
    no_repeat_ngram: NoRepeatNgram = 0,
    penalty_scope: PenaltyScope = None,
    mirostat: MirostatTarget = None,
    mirostat_rate: MirostatRate = None,
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
    `id` get the same texts in any order. Penalties come first; then the filters are applied in the
    order of --order, each to what the one before left; --explain shows what they left at each step, as
    a table or, with --json, as `steps`. --logprobs is about the model's own probabilities (`logprobs`).

    --beam N searches for probable texts instead, and prints the best -n of them; texts that end
    and texts cut by --max-tokens compete by nats / length^A. It ends early only where nothing
    unfinished could still be printed. Where the greedy text would have been better, stderr
    says so.

    With --json-schema, --regex, --choice or --grammar each text is valid, whatever the model: it
    ends (`stop`) when nothing but its end may follow, and where it may also go on when the model
    ends it; one that has no token for that goes on. A text cut by --max-tokens or --stop before it
    is complete gives status 1. A part of JSON that the schema can't be held to is an error.

    Examples:
      lmkit sample -m model.lm -n 5
      lmkit sample -m model.lm --prompt "once upon" --greedy --echo
      lmkit sample -m model.lm -t 0.8 --top-k 40 --top-p 0.95 --seed 7 --json
      lmkit sample -m model.lm --prompt "once upon" --beam 5 -n 5 --length-penalty 0.7
      lmkit sample -m model.lm --prompt "once upon" --contrastive 0.6 -k 5
      lmkit sample -m model.lm --prompt "Answer: " --choice yes --choice no
      lmkit sample -m model.lm prompts.txt > continued.txt
      lmkit sample -m model.lm -n 4 prompts.jsonl -o answers.jsonl
    """
    asked = Asked(
        greedy, ancestral, temperature, top_k, top_p, min_p, typical, epsilon, eta, order,
        repetition_penalty, presence_penalty, frequency_penalty, no_repeat_ngram, penalty_scope,
        mirostat, mirostat_rate,
    )  # fmt: skip
    asked.check()
    limits = {"--json-schema": json_schema, "--regex": regex, "--choice": choice, "--grammar": grammar}
    others = {name: value is not None for name, value in {**limits, "--logprobs": logprobs}.items()}
    search = searching.search(
        beam=beam, length_penalty=length_penalty, groups=groups, diversity=diversity, keep_greedy=keep_greedy,
        contrastive=contrastive, explain=explain, number=number, top_k=top_k, others={**asked.drawing(), **others},
    )  # fmt: skip
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
    from lmkit.using.generation import prompts
    from lmkit.using.generation.engine import Generated, Generator, OneByOne, Together
    from lmkit.using.generation.stepping import is_batched

    filters = asked.filtering.names
    opened = scoring.open_generating_model(name, device)
    verdicts = constraining.Verdicts(opened, constraint, format)
    raw = opened.tokenizer.takes_bytes
    source = inputs.Prompts(run, files or [], form, errors=encoding_errors, raw=raw)
    sampled = bool(files) and number > 1
    several = bool(files) or number > 1
    with streams.open_output(output, inputs=[name, *(files or [])], live=True) as out:
        asks = source.groups() if files else [[inputs.Prompt(streams.argument_bytes(prompt, raw=raw), 1)]]
        never = prompts.never(opened, unknown=unknown)
        stops = [streams.argument_bytes(text, raw=True) for text in stop or []]
        generator: Any
        if search is not None:
            with opening.about(name):
                generator = searching.runner(
                    search, opened, number=number, top_k=top_k, most=max_tokens, stops=stops, never=never,
                    penalties=asked.penalties(),
                )  # fmt: skip
        else:
            chooser = asked.chooser(never)
            watch = watching.watch(opened, most=logprobs, explain=explain)
            batched = is_batched(opened) and several and batch > 1 and watch is None and mirostat is None
            stepper = Together(opened, chooser) if batched else OneByOne(opened, chooser, watch)
            generator = Generator(opened, stepper, most=max_tokens, stops=stops, batch=batch if batched else 1)
        teller: telling.Teller
        if as_records:
            shown = (
                (lambda done: {"order": filters, **watching.said(done)})
                if search is None
                else lambda done: searching.more(search, done, opened)
            )
            teller = telling.Records(out, opened, shown, sampled=sampled)
        elif explain and search is None:
            run.terminal.notice(f"order {','.join(filters) or 'of no filters'}")
            teller = watching.Steps(out, sampled=sampled)
        else:
            teller = telling.Texts(out, opened, echo=echo, several=several, separator=separator)
        if search is not None:
            teller = searching.Searched(run, teller, search, opened, out, steps=explain and not as_records)
        asking = running.Asking(
            opened, seed, 1 if beam else number, window,
            lambda prompt: {"constraint": verdicts.constraint(prompt.record), "control": asked.control()},
        )  # fmt: skip
        for event in running.events(generator, asking, asks):
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
