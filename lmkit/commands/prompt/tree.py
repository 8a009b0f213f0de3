"""`lmkit prompt tree`: answers by a search over thoughts, or by a vote of several."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands.generation.search import LengthPenalty
from lmkit.commands.loading import models as opening
from lmkit.commands.loading import scoring_models
from lmkit.commands.options import generation as generating
from lmkit.commands.options import regex
from lmkit.commands.options.help_sections import in_sections
from lmkit.commands.options.option_groups import with_groups
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
from lmkit.commands.prompt import self_consistency as voting
from lmkit.commands.records import prompts
from lmkit.errors import UsageError
from lmkit.io import streams
from lmkit.io.records import to_json

if TYPE_CHECKING:
    from lmkit.prompting.tree_of_thoughts import Path

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
        help="Prompts in JSON Lines, as `prompt` commands write them; `-` or none without --prompt: stdin.",
    ),
]  # fmt: skip
Breadth = Annotated[
    int, typer.Option("--breadth", metavar="B", min=1, max=1000, help="Paths of thoughts that go on at each depth.")
]
Depth = Annotated[int, typer.Option("--depth", metavar="D", min=1, max=1000, help="Thoughts one after another.")]
Branch = Annotated[
    int | None,
    typer.Option(
        "--branch", metavar="N", min=1, max=1000, show_default="as --breadth",
        help="Thoughts that each path is continued by: the most probable that a beam of N finds.",
    ),
]  # fmt: skip
Draw = Annotated[bool, typer.Option("--draw", help="Draw the thoughts of --branch, as --seed and filters say.")]
SelfConsistency = Annotated[
    int,
    typer.Option(
        "--self-consistency", metavar="N", min=0,
        help="Instead of a search, draw N texts for each prompt and take the answer that most of them give; 0: off.",
    ),
]  # fmt: skip
ThoughtTokens = Annotated[int, typer.Option("--max-tokens", metavar="N", min=1, help="Longest thought, in tokens.")]
Kept = Annotated[bool, typer.Option("--explain", help="Show the paths kept at each depth, as `kept`.")]


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
        """Thoughts that follow a path."""
        return self.breadth if self.branch is None else self.branch


@dataclass(frozen=True, kw_only=True)
class Voting:
    """The options of votes."""

    self_consistency: SelfConsistency = 0
    extract: regex.Extract = None
    numbers: regex.Numbers = False

    @property
    def rules(self) -> Any:
        """How answers are found and compared. Raises UsageError for a pattern that is none."""
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
    r"""Answers by a search over thoughts.

    A thought is a piece of text up to --stop, `\n` if not given, or to the end of the text. After
    each prompt the --branch most probable thoughts are found, or drawn with --draw; the --breadth
    best paths go on, up to --depth thoughts (tree of thoughts, breadth first: Yao et al. 2023). The
    value of a path is the model's own nats / tokens^A, A being --length-penalty, over all its
    tokens, those that end thoughts included. Breadth and branch 1 give the greedy text.

    --self-consistency N draws N whole texts instead, and the answer that --extract finds in most of them
    is the `answer`, of as many votes the first (Wang et al. 2023); `votes` and `texts` are told too.

    Prints a record for each prompt: `id`, `prompt`, `text` (the best path's, with what ended
    its thoughts), `thoughts` (without), `tokens`, `nats`, `value`, `finish_reason` (`eos`, `depth`).

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
        raise UsageError(f"--{filters.filtering.used[0]} is about draws", hint="--draw draws thoughts")
    if "" in (stop or []):
        raise UsageError("--stop with no text would stop everything")
    names = [] if prompt is not None else list(files or [streams.STDIN])
    if model is None:
        raise UsageError("no model", hint="name one with -m MODEL")
    opening.check_single_stdin(model, *names)
    opening.use_threads(threads, model)
    rules = voting_.rules if voting_.self_consistency else None
    opened = opening.with_special(scoring_models.open_generating_model(model, device), parse_special)
    if prompt is not None:
        scoring_models.tell_unknown(run, opened, streams.argument_bytes(prompt, raw=opened.tokenizer.takes_bytes))
    ends = ["\n"] if stop is None and rules is None else stop or []
    more: dict[str, Any] = {
        "most": max_tokens, "stops": [streams.argument_bytes(text, raw=True) for text in ends], "seed": seed
    }  # fmt: skip
    with streams.open_output(output, inputs=[model, *names], live=True) as out:
        windows = scoring_models.ContextNotice(run, streams.display(model), opened)
        with opening.error_context(model):
            teller: _TreeSearcher | voting.SelfConsistency
            if rules is None:
                teller = _TreeSearcher(opened, growing, filters, windows, **more)
            else:
                teller = voting.SelfConsistency(
                    opened, filters, rules, windows, number=voting_.self_consistency, **more
                )
        for group in _asked(run, prompt, names, encoding_errors, opened):
            for one in group:
                out.line(to_json(teller.record(one, window=window)))


def _check(growing: TreeOptions, voting_: Voting) -> None:
    """Raises UsageError for options that do not go together."""
    if not voting_.self_consistency:
        if voting_.extract is not None or voting_.numbers:
            raise UsageError("--extract and --numbers are about votes", hint="--self-consistency N has N texts vote")
    elif growing != TreeOptions():
        raise UsageError("--self-consistency draws whole texts and has no search", hint="leave --breadth and its like")


def _asked(run: Run, prompt: str | None, names: list[str], errors: str, model: Any) -> Iterator[Any]:
    """The prompts, in groups that are there at once."""
    raw = model.tokenizer.takes_bytes
    if prompt is not None:
        yield [prompts.Prompt(streams.argument_bytes(prompt, raw=raw), 1)]
        return
    yield from prompts.Prompts(run, names, "jsonl", errors=errors, raw=raw).groups()


class _TreeSearcher:
    """Searches after prompts, as options ask for it."""

    def __init__(
        self, model: Any, growing: TreeOptions, filters: FilterOptions, windows: scoring_models.ContextNotice, *,
        most: int,
        stops: list[bytes], seed: int,
    ) -> None:  # fmt: skip
        from lmkit.generation import prompt_encoding
        from lmkit.generation.beam_search import Beams, BeamSearch

        self._model, self._growing, self._windows, self._seed = model, growing, windows, seed
        self._stops = stops
        self._generator: Any
        if growing.draw:
            self._generator = voting.drawing(model, filters, number=growing.number, most=most, stops=stops)
        else:
            beams = Beams(growing.number, growing.number, growing.length_penalty)
            never = prompt_encoding.never(model, unknown=False)
            self._generator = BeamSearch(model, beams, most=most, stops=stops, never=never)

    def record(self, prompt: prompts.Prompt, *, window: bool) -> dict[str, Any]:
        """The best path after a prompt, and what was kept on the way if that is asked for."""
        from lmkit.data import keyed_random
        from lmkit.generation import prompt_encoding
        from lmkit.generation.engine import Request
        from lmkit.prompting import tree_of_thoughts

        with opening.error_context(prompt.place or "--prompt"):
            ids = prompt_encoding.seen(self._model, prompt.text, window=window)
            root = tree_of_thoughts.Path(prompt_encoding.state_after(self._model, ids))

        def request(path: "Path", place: int) -> Request:
            key = " ".join([prompt.key, *map(str, path.ids)])
            return Request(keyed_random.stream_of(self._seed, key, place), ids, lambda: path.state)

        growing = self._growing
        following = tree_of_thoughts.continuing(
            self._model, self._generator, request, growing.number if growing.draw else 1
        )
        levels = list(
            tree_of_thoughts.search(
                self._model,
                root,
                following,
                breadth=growing.breadth,
                depth=growing.depth,
                alpha=growing.length_penalty,
                stops=self._stops,
            )
        )
        self._windows.tell(len(ids) + max(len(path.ids) for level in levels for path in level))
        shown = {"prompt": prompt.text.decode(errors="replace"), **self._shown(levels[-1][0])}
        if growing.explain:
            shown["kept"] = [[self._shown(path) for path in level] for level in levels]
        return {"id": prompt.id, **shown} | {name: value for name, value in prompt.record.items() if name not in shown}

    def _shown(self, path: "Path") -> dict[str, Any]:
        from lmkit.data.sequences import decode_text

        ids = path.ids[:-1] if path.finish_reason == "eos" else path.ids
        return {
            "text": decode_text(self._model.tokenizer, self._model.form, ids).decode(errors="replace"),
            "thoughts": [thought.decode(errors="replace") for thought in path.thoughts],
            "tokens": len(path.ids),
            "nats": path.nats,
            "value": path.value(self._growing.length_penalty),
            "finish_reason": path.finish_reason or "going on",
        }
