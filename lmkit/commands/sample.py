"""`lmkit sample`: generate text."""

from dataclasses import replace
from typing import TYPE_CHECKING

from lmkit.commands.generation.image_prompts import ImagePrompts
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
from lmkit.io import outputs, streams
from lmkit.protocols import is_conditional

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
    r"""Generate text with any model.

    Continues --prompt (-n times), or each line of the FILEs. Without a prompt, starts a new text. A text ends
    at the model's end token, before a --stop string or after --max-tokens. JSON Lines in, JSON Lines out:
    records need a `prompt`; other fields are copied. Several texts are printed one per line, line ends as `\n`.
    An encoder-decoder writes a target for each source, by default greedily; without a FILE sources are on stdin.
    A captioner writes after --image, or after the `image` or `images` of each record.

    The same seed gives the same text, whatever --batch and --threads. The default draws from the model's own
    distribution; penalties are applied first, then the filters in --order. --greedy, --beam and --contrastive
    search instead of sampling. --draft and --lookup make generation faster, with the same output.
    --json-schema, --regex, --choice and --grammar make every complete text valid; exit status 1 if
    --max-tokens or --stop cuts one. See lmkit-sampling(7) for the methods.

    Examples:
      lmkit sample -m model.lm -n 5
      lmkit sample -m model.lm --prompt "once upon" --greedy --echo
      lmkit sample -m model.lm -t 0.8 --top-k 40 --top-p 0.95 --seed 7 --json
      lmkit sample -m model.lm --prompt "once upon" --beam 5 -n 5 --length-penalty 0.7
      lmkit sample -m model.lm --prompt "once upon" --contrastive 0.6 -k 5
      lmkit sample -m model.lm --prompt "Answer: " --choice yes --choice no
      lmkit sample -m SmolLM2-135M-Instruct --defaults --parse-special prompts.jsonl
      lmkit sample -m gpt.lm --draft ngram.lm --lookup 3 --prompt "once upon"
      lmkit sample -m captioner.lm --image seven.png --greedy
      lmkit sample -m model.lm prompts.txt > continued.txt
      lmkit sample -m model.lm -n 4 prompts.jsonl -o answers.jsonl
    """
    name = model if model is not None else streams.STDIN
    asked = Settled(sampling, searching, max_tokens, stop or [])

    captions = ImagePrompts(run, name, source.images)

    def open_model() -> "StoredModel":
        opening.check_single_stdin(name, *(files or []), *(source.images or []), constraints.file, drafts.draft)
        opening.use_threads(threads, name)
        return captions.opened(device, records=prompts.has_records(files, source.form))

    opened = open_model() if defaults else None
    if opened is not None:  # else wrong options are reported before a model is opened
        with opening.error_context(name):
            asked = settled(run, opening.generation_of(opened), asked)
    plan = plan_of(asked, constraints, drafts, shown, number)
    prompts.check(source.prompt, files, source.form)
    shown = replace(shown, json=shown.json or prompts.has_records(files, source.form))
    shown.check()
    if "" in asked.stop:
        raise UsageError("--stop is empty, so every text would end at once")
    opened = open_model() if opened is None else opened
    opened = opening.with_bos(opening.with_special(opened, source.parse_special), source.bos)

    asked = replace(asked, max_tokens=captions.limit(opened, asked.max_tokens))
    if is_conditional(opened):
        files = files or (None if source.prompt else [streams.STDIN])
        opening.check_single_stdin(name, *(files or []), constraints.file, drafts.draft)
        if plan is None and number == 1 and not any(sampling.drawing().values()):
            asked = replace(asked, sampling=replace(asked.sampling, greedy=True))
        asked = replace(asked, max_tokens=min(asked.max_tokens, opened.target_limit or asked.max_tokens))

    from lmkit.commands.generation import requests, writers
    from lmkit.generation.constraint_report import ConstraintReport
    from lmkit.generation.engine import Completion

    source = replace(source, prompt=source.prompt or captions.prompt or "")
    report = ConstraintReport(opened, constraints.wanted(), constraints.format, constraints.about)
    with outputs.open_output(output, live=True) as out:
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
            captions.model_for,
        )  # fmt: skip
        if not files:
            prompt = streams.argument_bytes(source.prompt, raw=opened.tokenizer.accepts_any_bytes)
            scoring_models.tell_unknown(run, opened, prompt)
        windows = scoring_models.ContextNotice(run, streams.display(name), opened)
        for event in requests.run_requests(
            generator, asking, prompts.asked(run, source, files, opened, captions.prompt)
        ):
            writer.write(event)
            if isinstance(event, Completion):
                windows.tell(len(event.request.prompt) + len(event.ids) + len(event.closing))
                report.add(event, requests.id_of(event).id)
    if drafts.asked:
        from lmkit.commands.generation import speculative

        speculative.report(run, generator)
    report.close()


def plan_of(
    asked: Settled, constraints: ConstraintOptions, drafts: own.SpeculativeOptions, shown: own.OutputOptions,
    number: int,
) -> "SearchPlan | None":  # fmt: skip
    """The search that is asked for, if one is. Raises UsageError for options that cannot be combined."""
    sampling, searching = asked.sampling, asked.searching
    sampling.check()
    limits = {**dict.fromkeys(constraints.options, True), "--logprobs": shown.logprobs is not None}
    plan = searching.plan(
        explain=shown.explain, number=number, top_k=sampling.top_k, others={**sampling.drawing(), **limits}
    )
    mirostat = {"--mirostat": sampling.mirostat is not None}
    drafts.check({**searching.named, **limits, **mirostat, "--explain": shown.explain})
    return plan
