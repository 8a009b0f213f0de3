"""`lmkit prompt tree`: answers by tree-of-thoughts search, or by self-consistency."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.loading import scoring_models
from lmkit.commands.options import generation as generating
from lmkit.commands.options import regex
from lmkit.commands.options.generation import LengthPenalty
from lmkit.commands.options.option_groups import in_sections, with_groups
from lmkit.commands.options.sampling import FILTERS, FilterOptions
from lmkit.commands.options.standard import (
    Device,
    EncodingErrors,
    Json,
    ModelOption,
    ModelThreads,
    OptionalPrompt,
    Output,
    ParseSpecial,
    Run,
    Seed,
    Window,
)
from lmkit.commands.records import prompts
from lmkit.errors import UsageError
from lmkit.io import outputs, streams
from lmkit.io.records import to_json

if TYPE_CHECKING:  # numpy is not needed for help
    from lmkit.generation.engine import TextGenerator
    from lmkit.metrics.answer_extraction import Rules
    from lmkit.protocols import I32, LanguageModel

    Answer = Callable[[prompts.Prompt, I32], dict[str, Any]]
    """From a prompt and its ids to what its record says of the answer."""

SECTIONS = {
    "Input": ("files", "model", "prompt", "encoding_errors", "parse_special", "window"),
    "Search": ("breadth", "depth", "branch", "length_penalty", "explain", "draw"),
    "Vote": ("self_consistency", "extract", "numbers"),
    "Thoughts": ("max_tokens", "stop"),
    "Sampling": ("seed", *FILTERS, "order"),
    "Output": ("threads", "device", "json", "output"),
}
Records = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FILE]...", show_default=False,
        help="Prompts: JSON Lines with a field `prompt`; `-`, or none without --prompt: stdin.",
    ),
]  # fmt: skip
Breadth = Annotated[
    int, typer.Option("--breadth", metavar="B", min=1, max=1000, help="Number of paths kept at each depth.")
]
Depth = Annotated[
    int, typer.Option("--depth", metavar="D", min=1, max=1000, help="Maximum number of thoughts in a path.")
]
Branch = Annotated[
    int | None,
    typer.Option(
        "--branch", metavar="N", min=1, max=1000, show_default="as --breadth",
        help="Number of thoughts that expand each path, found by beam search with N beams.",
    ),
]  # fmt: skip
Draw = Annotated[
    bool,
    typer.Option(
        "--draw", help="Sample the thoughts of --branch, with --seed and the filters, instead of beam search."
    ),
]
SelfConsistency = Annotated[
    int,
    typer.Option(
        "--self-consistency", metavar="N", min=0,
        help="Self-consistency: sample N texts per prompt and take the majority answer, instead of a search (0 = off).",
    ),
]  # fmt: skip
ThoughtTokens = Annotated[
    int, typer.Option("--max-tokens", metavar="N", min=1, help="Maximum length of a thought, in tokens.")
]
Kept = Annotated[bool, typer.Option("--explain", help="Add the paths kept at each depth to the record, as `kept`.")]


@dataclass(frozen=True, kw_only=True)
class TreeOptions:
    """The options of the search."""

    breadth: Breadth = 1
    depth: Depth = 3
    branch: Branch = None
    length_penalty: LengthPenalty = 0.0
    draw: Draw = False
    explain: Kept = False

    @property
    def number(self) -> int:
        """Number of thoughts that expand a path."""
        return self.breadth if self.branch is None else self.branch


@dataclass(frozen=True, kw_only=True)
class Voting:
    """The options of votes."""

    self_consistency: SelfConsistency = 0
    extract: regex.Extract = None
    numbers: regex.Numbers = False

    @property
    def rules(self) -> "Rules":
        """How answers are found and compared. Raises UsageError for an invalid pattern."""
        from lmkit.metrics.answer_extraction import Rules

        return Rules(regex.extractor(self.extract), numbers=self.numbers)


@in_sections(SECTIONS)
@with_groups()
def tree(
    run: Run,
    files: Records = None,
    model: ModelOption = None,
    *,
    prompt: OptionalPrompt = None,
    growing: TreeOptions,
    voting_: Voting,
    max_tokens: ThoughtTokens = 50,
    stop: generating.Stop = None,
    seed: Seed = 0,
    filters: FilterOptions,
    encoding_errors: EncodingErrors = "strict",
    parse_special: ParseSpecial = False,
    window: Window = False,
    threads: ModelThreads = None,
    device: Device = "cpu",
    json: Json = False,
    output: Output = None,
) -> None:
    r"""Answer prompts by tree-of-thoughts search or self-consistency.

    A thought is a text up to --stop (default `\n`) or to the end of the text. Tree of thoughts, breadth first (Yao
    et al. 2023): each path is expanded by its --branch most probable thoughts, or by sampled ones with --draw,
    and the --breadth best paths are kept, up to --depth thoughts. The value of a path is nats / tokens^A
    under the model, where A is --length-penalty. Breadth 1 and branch 1 give the greedy text.

    --self-consistency N samples N texts instead. The `answer` is the one that --extract finds in most of them
    (ties: the first; Wang et al. 2023); records also have `votes` and `texts`.

    A record of the search has `id`, `prompt`, `text` (the best path), `thoughts` (without what ended
    them), `tokens`, `nats`, `value` and `finish_reason` (`eos` or `depth`).

    Examples:
      lmkit prompt cot shots.jsonl < questions.txt | lmkit prompt tree -m gpt.lm --breadth 3 --depth 4
      lmkit prompt tree -m model.lm --prompt "2 4 6" --breadth 5 --depth 3 --stop " " --explain
      lmkit prompt tree -m gpt.lm --self-consistency 20 -t 0.7 --extract 'answer is (.*?)\.' cot.jsonl
      lmkit prompt tree -m gpt.lm --draw --branch 8 -t 0.8 prompts.jsonl
    """
    if files and prompt is not None:
        raise UsageError("--prompt and FILEs exclude each other")
    _check(growing, voting_)
    if not growing.draw and not voting_.self_consistency and filters.filtering.used:
        raise UsageError(f"--{filters.filtering.used[0]} needs --draw or --self-consistency")
    if "" in (stop or []):
        raise UsageError("--stop is empty, so every text would end at once")
    names = [] if prompt is not None else list(files or [streams.STDIN])
    if model is None:
        raise UsageError("no model: give -m MODEL")
    opening.check_single_stdin(model, *names)
    opening.use_threads(threads, model)
    rules = voting_.rules if voting_.self_consistency else None
    opened: LanguageModel = opening.with_special(scoring_models.open_generating_model(model, device), parse_special)
    if prompt is not None:
        scoring_models.tell_unknown(run, opened, streams.argument_bytes(prompt, raw=opened.tokenizer.accepts_any_bytes))
    ends = ["\n"] if stop is None and rules is None else stop or []
    stops = [streams.argument_bytes(text, raw=True) for text in ends]
    from lmkit.generation import prompt_encoding

    with outputs.open_output(output, live=True) as out:
        windows = scoring_models.ContextNotice(run, streams.display(model), opened)
        with opening.error_context(model):
            answer = (
                _by_search(opened, growing, filters, windows, most=max_tokens, stops=stops, seed=seed)
                if rules is None
                else _by_vote(
                    opened, voting_.self_consistency, filters, rules, windows, most=max_tokens, stops=stops, seed=seed
                )
            )
        for group in _asked(run, prompt, names, encoding_errors, opened):
            for one in group:
                with opening.error_context(one.place or "--prompt"):
                    found = answer(one, prompt_encoding.seen(opened, one.text, window=window))
                record = {"id": one.id, "prompt": one.text.decode(errors="replace"), **found}
                out.line(to_json(record | {name: value for name, value in one.record.items() if name not in record}))


def _check(growing: TreeOptions, voting_: Voting) -> None:
    """Raises UsageError for options that cannot be combined."""
    if not voting_.self_consistency:
        if voting_.extract is not None or voting_.numbers:
            raise UsageError("--extract and --numbers need --self-consistency")
    elif growing != TreeOptions():
        raise UsageError(
            "--self-consistency cannot be combined with options of the search",
            hint="remove --breadth, --depth and the like",
        )


def _asked(
    run: Run, prompt: str | None, names: list[str], errors: str, model: "LanguageModel"
) -> Iterator[Iterable[prompts.Prompt]]:
    """The prompts, in groups that are there at once."""
    raw = model.tokenizer.accepts_any_bytes
    if prompt is not None:
        yield [prompts.Prompt(streams.argument_bytes(prompt, raw=raw), 1)]
        return
    yield from prompts.Prompts(run, names, "jsonl", errors=errors, raw=raw).groups()


def _by_search(
    model: "LanguageModel", growing: TreeOptions, filters: FilterOptions, windows: scoring_models.ContextNotice, *,
    most: int, stops: list[bytes], seed: int,
) -> "Answer":  # fmt: skip
    """A function that finds the best path after a prompt, with the paths kept if asked for."""
    from lmkit.generation import prompt_encoding
    from lmkit.generation.beam_search import Beams, BeamSearch
    from lmkit.prompting.self_consistency import drawing_generator
    from lmkit.prompting.tree_of_thoughts import TreeSearcher

    generator: TextGenerator
    if growing.draw:
        generator = drawing_generator(model, filters.filtering, number=growing.number, most=most, stops=stops)
    else:
        beams = Beams(growing.number, growing.number, growing.length_penalty)
        never = prompt_encoding.never(model, unknown=False)
        generator = BeamSearch(model, beams, most=most, stops=stops, never=never)
    drawn = growing.number if growing.draw else 1
    searcher = TreeSearcher(
        model, generator, stops, seed, drawn, growing.breadth, growing.depth, growing.length_penalty
    )

    def answer(prompt: prompts.Prompt, ids: "I32") -> dict[str, Any]:
        levels = searcher.levels(ids, prompt.key)
        windows.tell(len(ids) + max(len(path.ids) for level in levels for path in level))
        kept = {"kept": [[searcher.fields(path) for path in level] for level in levels]} if growing.explain else {}
        return searcher.fields(levels[-1][0]) | kept

    return answer


def _by_vote(
    model: "LanguageModel", number: int, filters: FilterOptions, rules: "Rules", windows: scoring_models.ContextNotice,
    *, most: int, stops: list[bytes], seed: int,
) -> "Answer":  # fmt: skip
    """A function that samples texts after a prompt and takes the majority answer."""
    from lmkit.prompting.self_consistency import SelfConsistency, drawing_generator

    generator = drawing_generator(model, filters.filtering, number=number, most=most, stops=stops)
    voters = SelfConsistency(model, generator, rules, number, seed)

    def answer(prompt: prompts.Prompt, ids: "I32") -> dict[str, Any]:
        texts = voters.texts(ids, prompt.key)
        windows.tell(len(ids) + max(len(done.ids) + len(done.closing) for done in texts))
        return voters.fields([done.text.decode(errors="replace") for done in texts])

    return answer
