"""`lmkit sample`: generate text."""

from typing import Any

from lmkit.commands.generation import search as search_options
from lmkit.commands.generation.constraints import ConstraintOptions, ConstraintReport
from lmkit.commands.generation.model_defaults import Settled, settled
from lmkit.commands.generation.search import SearchOptions
from lmkit.commands.generation.speculative import SpeculativeOptions
from lmkit.commands.loading import models as opening
from lmkit.commands.loading import scoring_models
from lmkit.commands.options import generation as own
from lmkit.commands.options.help_sections import in_sections
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.sampling import SamplingOptions
from lmkit.commands.options.standard import Device, ModelOption, Output, Run, Seed
from lmkit.commands.records import prompts
from lmkit.errors import UsageError
from lmkit.io import streams


@in_sections(own.SECTIONS)
@with_groups()
def sample(
    run: Run,
    files: own.Prompts = None,
    model: ModelOption = None,
    *,
    source: own.InputOptions,
    number: own.Number = 1,
    max_tokens: own.MaxTokens = 100,
    stop: own.Stop = None,
    seed: Seed = 0,
    choosing: SamplingOptions,
    searching_: SearchOptions,
    constraining: ConstraintOptions,
    defaults: own.Defaults = False,
    batch: own.Batch = 32,
    drafting: SpeculativeOptions,
    threads: own.Threads = None,
    device: Device = "cpu",
    showing: own.OutputOptions,
    output: Output = None,
) -> None:
    r"""Generate text from any model.

    Goes on from --prompt, -n times, or from each line of FILEs; without any a text begins
    afresh. The text ends at the end of a line, at an end token of a published model, at --stop or
    after --max-tokens; --json says which, as `finish_reason` (`eos`, `stop`, `length`). Where the model
    reads texts of several lines, so may the prompt and what is generated be; it ends with a document,
    where the model knows those. The model's own settings of generation, which `lmkit info` shows, are
    followed only with --defaults, and options given win.

    Text goes to stdout as it grows. One text keeps its line ends; of several each is a line, line
    ends within it shown as `\n`, unless --separator parts them. A FILE in JSON Lines is answered
    in JSON Lines: its records have a `prompt`, and may have an `id`; all else in them passes through.

    The same seed gives the same text, whatever the batch size and the number of threads: random numbers
    come from the seed and the id of a prompt, which is the number of its line where it has none, so that
    records with an `id` get the same texts in any order. Penalties come first; then the filters are applied in the
    order of --order, each to what the one before left; --explain shows what they left at each step, as
    a table or, with --json, as `steps`. --logprobs is about the model's own probabilities (`logprobs`).

    --beam N searches for probable texts instead, and prints the best -n of them; texts that end
    and texts cut by --max-tokens compete by nats / length^A. It ends early only where nothing
    unfinished could still be printed. Where the greedy text would have been better, stderr
    says so.

    With --draft or --lookup some tokens are guessed and looked at together, which is faster where
    guesses are often right, and the text is the same. They go with no search, constraint or Mirostat,
    nor with --explain and --logprobs; searches take no constraint either.

    With --json-schema, --regex, --choice or --grammar each text is valid, whatever the model: it
    ends (`stop`) when nothing but its end may follow, and where it may also go on when the model
    ends it; one that has no token for that goes on. A text cut by --max-tokens or --stop before it
    is complete (`complete`) gives status 1. A part of JSON that the schema can't be held to is an error.

    Examples:
      lmkit sample -m model.lm -n 5
      lmkit sample -m model.lm --prompt "once upon" --greedy --echo
      lmkit sample -m model.lm -t 0.8 --top-k 40 --top-p 0.95 --seed 7 --json
      lmkit sample -m model.lm --prompt "once upon" --beam 5 -n 5 --length-penalty 0.7
      lmkit sample -m model.lm --prompt "once upon" --contrastive 0.6 -k 5
      lmkit sample -m model.lm --prompt "Answer: " --choice yes --choice no
      lmkit sample -m SmolLM2-135M-Instruct --defaults --parse-special prompts.jsonl
      lmkit sample -m gpt.lm --draft ngram.lm --lookup 3 --prompt "once upon"
      lmkit sample -m model.lm prompts.txt > continued.txt
      lmkit sample -m model.lm -n 4 prompts.jsonl -o answers.jsonl
    """
    name = model if model is not None else streams.STDIN

    def open_model() -> Any:
        opening.check_single_stdin(name, *(files or []), constraining.file, drafting.draft)
        opening.use_threads(threads, name)
        return scoring_models.open_generating_model(name, device)

    opened = open_model() if defaults else None
    if defaults:  # what is wrong with options is said before a model is opened, where it does not depend on one
        asked = Settled(choosing, searching_, max_tokens, stop or [])
        with opening.error_context(name):
            found = settled(run, opening.generation_of(opened), asked)
        choosing, searching_, max_tokens, stop = found.choosing, found.searching, found.max_tokens, [*found.stop]
    choosing.check()
    limits = dict.fromkeys(constraining.options, True)
    watched = {"--logprobs": showing.logprobs is not None}
    search = search_options.search(
        searching_, explain=showing.explain, number=number, top_k=choosing.top_k,
        others={**choosing.drawing(), **limits, **watched},
    )  # fmt: skip
    mirostat = {"--mirostat": choosing.mirostat is not None}
    drafting.check({**searching_.named, **limits, **watched, **mirostat, "--explain": showing.explain})
    prompts.check(source.prompt, files, source.form)
    as_records = showing.json or prompts.has_records(files, source.form)
    showing.check(as_records=as_records)
    if "" in (stop or []):
        raise UsageError("--stop with no text would stop everything")
    opened = open_model() if opened is None else opened
    from lmkit.commands.generation import factory, requests

    opened = opening.with_bos(opening.with_special(opened, source.parse_special), source.bos)
    verdicts = ConstraintReport(opened, constraining)
    with streams.open_output(output, inputs=[name, *(files or [])], live=True) as out:
        with opening.error_context(name):
            maker = factory.GeneratorFactory(
                run, opened, choosing, search, drafting, showing, verdicts, number=number, most=max_tokens,
                stops=[streams.argument_bytes(text, raw=True) for text in stop or []],
                batch=batch if number > 1 or files else 1, growing=not as_records,
                processes=opening.processes(threads, name) if device == "cpu" else 1,
            )  # fmt: skip
        teller = maker.teller(out, as_records=as_records, files=bool(files))
        asking = requests.RequestBuilder(
            opened, seed, 1 if searching_.beam else number, source.window,
            lambda prompt: {"constraint": verdicts.constraint(prompt.record), "control": choosing.control()},
        )  # fmt: skip
        if not files:
            scoring_models.tell_unknown(
                run, opened, streams.argument_bytes(source.prompt, raw=opened.tokenizer.takes_bytes)
            )
        windows = scoring_models.ContextNotice(run, streams.display(name), opened)
        for event in requests.run_requests(maker.generator, asking, prompts.asked(run, source, files, opened)):
            teller.take(event)
            if requests.is_finished(event):
                windows.tell(len(event.request.prompt) + len(event.ids) + len(event.closing))
                verdicts.take(event, event.request.label.id)
    maker.tell()
    verdicts.close()
