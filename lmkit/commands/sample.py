"""`lmkit sample`: generate text."""

from dataclasses import replace
from typing import TYPE_CHECKING

from lmkit.commands.generation.model_defaults import Settled, settled
from lmkit.commands.loading import models as opening
from lmkit.commands.loading import scoring_models
from lmkit.commands.options import generation as own
from lmkit.commands.options.constraints import ConstraintOptions
from lmkit.commands.options.option_groups import in_sections, with_groups
from lmkit.commands.options.sampling import SamplingOptions
from lmkit.commands.options.standard import Device, ModelOption, Output, Run, Seed
from lmkit.commands.records import prompts
from lmkit.errors import UsageError
from lmkit.io import streams

if TYPE_CHECKING:  # numpy is not needed for help
    from lmkit.generation.search_plan import SearchPlan
    from lmkit.protocols import StoredModel


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
    sampling: SamplingOptions,
    searching: own.SearchOptions,
    constraints: ConstraintOptions,
    defaults: own.Defaults = False,
    batch: own.Batch = 32,
    drafts: own.SpeculativeOptions,
    threads: own.Threads = None,
    device: Device = "cpu",
    shown: own.OutputOptions,
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
    asked = Settled(sampling, searching, max_tokens, stop or [])

    def open_model() -> "StoredModel":
        opening.check_single_stdin(name, *(files or []), constraints.file, drafts.draft)
        opening.use_threads(threads, name)
        return scoring_models.open_generating_model(name, device)

    opened = open_model() if defaults else None
    if opened is not None:  # else what is wrong with options is said before a model is opened
        with opening.error_context(name):
            asked = settled(run, opening.generation_of(opened), asked)
    plan = _plan(asked, constraints, drafts, shown, number)
    prompts.check(source.prompt, files, source.form)
    shown = replace(shown, json=shown.json or prompts.has_records(files, source.form))
    shown.check()
    if "" in asked.stop:
        raise UsageError("--stop with no text would stop everything")
    opened = open_model() if opened is None else opened
    opened = opening.with_bos(opening.with_special(opened, source.parse_special), source.bos)

    from lmkit.commands.generation import requests, writers
    from lmkit.generation.constraint_report import ConstraintReport
    from lmkit.generation.engine import Completion

    report = ConstraintReport(opened, constraints.wanted(), constraints.format, constraints.about)
    with streams.open_output(output, inputs=[name, *(files or [])], live=True) as out:
        with opening.error_context(name):
            builder = requests.GeneratorBuilder(
                opened, asked.max_tokens, [streams.argument_bytes(text, raw=True) for text in asked.stop],
                batch if number > 1 or files else 1, growing=not shown.json,
                processes=opening.processes(threads, name) if device == "cpu" else 1,
            )  # fmt: skip
            chosen = asked.sampling
            generator = builder.searching(plan, chosen) if plan else builder.sampling(chosen, drafts, shown)
        write = writers.WriterBuilder(run, out, opened, shown, number, bool(files))
        writer = write.searching(plan) if plan else write.sampling(chosen.filtering.names, report)
        asking = requests.RequestBuilder(
            opened, seed, 1 if asked.searching.beam else number, source.window,
            lambda prompt: {"constraint": report.constraint(prompt.record), "control": chosen.control()},
        )  # fmt: skip
        if not files:
            prompt = streams.argument_bytes(source.prompt, raw=opened.tokenizer.accepts_any_bytes)
            scoring_models.tell_unknown(run, opened, prompt)
        windows = scoring_models.ContextNotice(run, streams.display(name), opened)
        for event in requests.run_requests(generator, asking, prompts.asked(run, source, files, opened)):
            writer.write(event)
            if isinstance(event, Completion):
                windows.tell(len(event.request.prompt) + len(event.ids) + len(event.closing))
                report.add(event, requests.id_of(event).id)
    if drafts.asked:
        from lmkit.commands.generation import speculative

        speculative.report(run, generator)
    report.close()


def _plan(
    asked: Settled, constraints: ConstraintOptions, drafts: own.SpeculativeOptions, shown: own.OutputOptions,
    number: int,
) -> "SearchPlan | None":  # fmt: skip
    """The search that is asked for, if one is. Raises UsageError for options that do not go together."""
    sampling, searching = asked.sampling, asked.searching
    sampling.check()
    limits = {**dict.fromkeys(constraints.options, True), "--logprobs": shown.logprobs is not None}
    plan = searching.plan(
        explain=shown.explain, number=number, top_k=sampling.top_k, others={**sampling.drawing(), **limits}
    )
    mirostat = {"--mirostat": sampling.mirostat is not None}
    drafts.check({**searching.named, **limits, **mirostat, "--explain": shown.explain})
    return plan
