"""`lmkit prompt answer`: the most probable of given answers to each prompt."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands.loading import encoders, scoring_models, vision_models
from lmkit.commands.loading import models as opening
from lmkit.commands.options import answer_scoring, prompting
from lmkit.commands.options import labels as label_options
from lmkit.commands.options.option_groups import in_sections, with_groups
from lmkit.commands.options.standard import Bos, Images, Json, ModelOption, Output, ParseSpecial, Run, Threads, Window
from lmkit.commands.records.questions import QuestionReader, QuestionRecord
from lmkit.errors import UsageError
from lmkit.io import outputs, streams
from lmkit.io.records import to_json
from lmkit.prompting.score_normalization import FREE, NORMS
from lmkit.prompting.verbalizers import LabelMapper, is_unknown_label
from lmkit.protocols import StoredModel, is_captioner, is_encoder, is_encoder_decoder

if TYPE_CHECKING:
    from lmkit.prompting.answer_scorer import AnswerScorer, Normalization
    from lmkit.prompting.masked_answers import MaskedAnswerScorer
    from lmkit.prompting.uncached_answers import UncachedAnswerScorer


SECTIONS = {
    "Input": ("files", "model", "prompt", "images", "parse_special", "bos", "window"),
    "Candidates": ("candidates", "candidates_file", "joint", "verbalizer", "aggregate", "strict"),
    "Scores": ("norm", "domain", "content_free", "norms"),
    "Output": ("json", "output"),
    "Speed": ("cache", "threads"),
}


@in_sections(SECTIONS)
@with_groups()
def answer(
    run: Run,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...",
            show_default=False,
            help="Prompts: JSON Lines with a field `prompt`; `-`, or none without --prompt: stdin.",
        ),
    ] = None,
    model: ModelOption = None,
    *,
    prompt: Annotated[
        str | None,
        typer.Option(
            "--prompt",
            metavar="TEXT",
            show_default=False,
            help="A single prompt: the answer goes to [Z], or to the end.",
        ),
    ] = None,
    images: Images = None,
    candidates: label_options.Candidates = None,
    candidates_file: label_options.CandidatesFile = None,
    joint: Annotated[
        str,
        typer.Option(
            "--joint",
            metavar="TEXT",
            help=r"Separator before answers, for records without `joint`; escapes: `\n`, `\t`, `\\`.",
        ),
    ] = "",
    verbalizer: label_options.VerbalizerFile = None,
    aggregate: label_options.Aggregate = "sum",
    strict: label_options.Strict = False,
    normalization: answer_scoring.NormalizationOptions,
    norms: Annotated[
        str,
        typer.Option(
            "--norms", metavar="LIST", help="Comma-separated scores to show as well, or `all` that are available."
        ),
    ] = "none,tokens,bytes,chars",
    parse_special: ParseSpecial = False,
    bos: Bos = "auto",
    window: Window = False,
    cache: answer_scoring.Cache = None,
    threads: Threads = None,
    json: Json = False,
    output: Output = None,
) -> None:
    """Choose the most probable of given answers to each prompt.

    The answer goes to [Z], or to the end of the prompt. Text after [Z] is scored with it. Candidates come from
    --candidates or --candidates-file, else from the record's `candidates`, else from the verbalizer, else from
    the record's `labels`.

    Scores are log-probabilities in nats, the higher the better: `none`; divided by `tokens`, `bytes` or
    `chars`; minus the candidate's own (`pmi`) or that after --domain (`domain`); or `calibrated` by
    content-free prompts. --norm decides; ties go to the first candidate. Other fields of the record are copied.

    An encoder fills each candidate's pieces into masks at [Z], from left to right, each given those before it and
    the text on both sides; an encoder-decoder takes the prompt as source, candidates as targets; `method` says so.
    A captioner sees --image before each prompt.

    Scores are bit-identical regardless of the other prompts in the batch, so a run with --cache that was
    interrupted and resumed writes the same as an uninterrupted one. See lmkit-prompting(7) for the formulas.

    Examples:
      lmkit prompt answer -m model.lm --labels pos,neg < prompts.jsonl
      lmkit prompt answer -m model.lm --prompt "It was a [Z] film." --candidates good,bad --norms all
      lmkit prompt few-shot shots.tsv inputs.txt | lmkit prompt answer -m model.lm --cache done.jsonl
    """  # fmt: skip
    if prompt is not None and files:
        raise UsageError("--prompt and FILEs exclude each other")
    if strict and verbalizer is None:
        raise UsageError("--strict needs --verbalizer")
    shown = _shown(normalization, norms)
    name, texts = _named(model, files, prompt)
    opening.use_threads(opening.core_count(threads), name)
    labelling = None
    if verbalizer is not None:
        mapped = label_options.verbalizer_in(verbalizer)
        labelling = LabelMapper(streams.display(verbalizer), mapped, aggregate, strict, run.terminal.notice)
    given = label_options.named(candidates, candidates_file)
    if labelling is not None and given is not None:
        labelling.check(given)
    asking = QuestionReader(
        given, labelling.verbalizer.words if labelling is not None else None, prompting.unescaped(joint)
    )
    model_found = opening.open_any(name)
    other = is_encoder(model_found) or is_encoder_decoder(model_found)
    if other and (cache is not None or bos != "auto"):
        option = "--cache" if cache is not None else "--bos"
        raise UsageError(f"{option} is for language models, not for an {model_found.kind}")
    if is_encoder_decoder(model_found) and parse_special:
        raise UsageError("--parse-special is not for an encoder-decoder")
    from lmkit.prompting import answer_scorer

    opened: StoredModel | None = None
    if images and not is_captioner(model_found):
        raise vision_models.no_captioner(model_found.kind, name)
    if images:
        opened = vision_models.shown(run, model_found, images)
    elif not other:
        opened = opening.with_special(opening.require_language_model(model_found, name), parse_special)
        opened = opening.with_bos(opened, bos)
    inputs = [name, verbalizer, candidates_file, *(images or []), *texts]
    answer_scoring.refuse_overwriting_inputs(cache, inputs)
    with (
        outputs.open_output(output, live=True) as out,
        answer_scoring.open_cache(run, cache) as done,
        run.terminal.progress("answers", None if prompt is not None else streams.size_of(texts)) as progress,
    ):
        groups = (
            iter([[asking.only(streams.argument_text(prompt))]]) if prompt is not None else asking.groups(run, texts)
        )
        wanted = normalization.normalization(shown, sparing=norms == "all")
        scorer: AnswerScorer | UncachedAnswerScorer
        if is_encoder_decoder(model_found):
            from lmkit.prompting.conditional_answers import ConditionalAnswerScorer

            scorer = ConditionalAnswerScorer(model_found, wanted, window=window)
        elif opened is None:
            scorer = _masked(run, model_found, name, wanted, window=window, parse=parse_special, threads=threads)
        else:
            if prompt is not None:
                text = streams.argument_text(prompt).replace("[Z]", " ").encode()
                scoring_models.tell_unknown(run, opened, text)
            scorer = answer_scorer.AnswerScorer(
                opened, wanted, done, window=window, notice=run.terminal.notice, separator="a --joint such as ' '"
            )
        answers = _Answers(scorer, labelling)
        for records in answers.records(groups, progress):
            out.answer("".join(to_json(record) + "\n" for record in records).encode())
        label_options.warn_unknown_labels(run, answers.strangers)


def _masked(
    run: Run, model: Any, name: str, wanted: "Normalization", *, window: bool, parse: bool, threads: int | None
) -> "MaskedAnswerScorer":
    """What scores with an encoder. Raises CheckpointError where that fills no masks."""
    from lmkit.prompting.masked_answers import MaskedAnswerScorer

    opened = encoders.require_encoder(model, name)
    with opening.error_context(name):
        opened.check_fills()
        _ = opened.form.mask_token
    backend = encoders.EncoderBackend(run, opened, name=name, device="cpu", precision="fp32", threads=threads)
    tokenizer = opened.tokenizer.with_specials() if parse else opened.tokenizer
    return MaskedAnswerScorer(backend.for_bytes(0), wanted, tokenizer, window=window)


def _named(model: str | None, files: list[str] | None, prompt: str | None) -> tuple[str, list[str]]:
    """The model and the files with prompts; one of them may be stdin."""
    if prompt is not None:
        return (streams.STDIN if model is None else model), []
    (name,), texts = opening.sources([model] if model is not None else [], files)
    return name, texts


def _shown(options: answer_scoring.NormalizationOptions, norms: str) -> tuple[str, ...]:
    """The norms whose scores are wanted, in their order. Raises UsageError."""
    wanted = {options.norm, *FREE}
    if norms == "all":
        wanted |= set(NORMS) - ({"domain"} if options.domain is None else set())
    else:
        wanted |= set(norms.split(","))
    if "all" in wanted:
        raise UsageError("--norms: `all` cannot be combined with other names", hint="use --norms all")
    odd = sorted(wanted - set(NORMS))
    if odd:
        raise UsageError(f"--norms: {odd[0]!r} is not one of {', '.join(NORMS)}, all")
    wanted |= {"domain"} if options.domain is not None else set()
    options.check(sorted(wanted))
    return tuple(one for one in NORMS if one in wanted)


class _Answers:
    """Items to records with answers."""

    def __init__(self, scorer: "AnswerScorer | UncachedAnswerScorer", labelling: LabelMapper | None) -> None:
        from lmkit.prompting.uncached_answers import UncachedAnswerScorer

        self._scorer, self._labelling = scorer, labelling
        self._method = scorer.method if isinstance(scorer, UncachedAnswerScorer) else None
        self._answered = 0
        self.strangers = 0
        """Number of records whose gold label is neither a candidate nor a label."""

    def records(self, groups: Iterable[list[QuestionRecord]], progress: Any) -> Iterator[list[Any]]:
        """The records of each group of items."""
        for items in groups:
            if self._labelling is not None:
                for item in items:
                    self._labelling.check(item.question.candidates, item.question.place)

            def done(place: int, items: list[QuestionRecord] = items) -> None:
                self._answered += 1
                progress.advance(items[place].size, f"{self._answered} items")

            scores = self._scorer.scores([(item.question, item.record.get("input")) for item in items], done)
            yield [self._record(item, by_norm) for item, by_norm in zip(items, scores, strict=True)]

    def _record(self, item: QuestionRecord, by_norm: dict[str, list[float]]) -> dict[str, Any]:
        candidates = item.question.candidates
        chosen = label = candidates[self._scorer.best(by_norm)]
        record: dict[str, Any] = {"id": item.id, "answer": chosen, "label": label}
        labels = self._labelling.verbalizer.labels.values() if self._labelling is not None else ()
        self.strangers += is_unknown_label(item.record.get("gold"), candidates, labels)
        record["scores"] = {one: {way: by_norm[way][at] for way in by_norm} for at, one in enumerate(candidates)}
        if self._method is not None:
            record["method"] = self._method
        if self._labelling is not None:
            label, scores = self._labelling.label(candidates, by_norm, self._scorer.norm)
            record |= {"label": label, "label_scores": scores}
        return record | {key: value for key, value in item.record.items() if key not in record}
