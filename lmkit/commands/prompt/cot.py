"""`lmkit prompt cot`: chain-of-thought prompts, few-shot and zero-shot."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options import prompting
from lmkit.commands.options.option_groups import in_sections, with_groups
from lmkit.commands.options.standard import Json, Output, Run
from lmkit.errors import DataError, UsageError
from lmkit.io import outputs, streams
from lmkit.io.records import to_json
from lmkit.prompting.examples import Example

LAYOUT = ("no_reasoning", "question", "answer", "conclusion", "trigger", "keep_marks", "instruction", "example_sep")


@in_sections({**prompting.SECTIONS, "Layout": LAYOUT, "Output": ("json", "output")})
@with_groups()
def cot(
    run: Run,
    shots: Annotated[
        str | None,
        typer.Argument(metavar="[SHOTS]", show_default=False, help="Examples with reasoning, JSON Lines; `-`: stdin."),
    ] = None,
    files: prompting.Items = None,
    *,
    selection: prompting.SelectionOptions,
    no_reasoning: Annotated[
        bool, typer.Option("--no-reasoning", help="Standard prompting: the same examples without reasoning.")
    ] = False,
    question: Annotated[str, typer.Option("--question", metavar="TEXT", help="Text before each question.")] = "Q: ",
    answer: Annotated[str, typer.Option("--answer", metavar="TEXT", help="Text between a question and its answer.")] = (
        r"\nA: "
    ),
    conclusion: Annotated[
        str, typer.Option("--conclusion", metavar="TEXT", help="Text after the reasoning; `{}` is the output.")
    ] = "The answer is {}.",
    trigger: Annotated[
        str, typer.Option("--trigger", metavar="TEXT", help="Beginning of the answer in prompts without examples.")
    ] = "Let's think step by step.",
    keep_marks: Annotated[
        bool, typer.Option("--keep-marks", help="Keep GSM8K's calculator annotations, such as `<<48/2=24>>`.")
    ] = False,
    instruction: prompting.Instruction = "",
    example_sep: prompting.ExampleSep = r"\n\n",
    length: prompting.LengthOptions,
    reading: prompting.ExampleOptions,
    json: Json = False,
    output: Output = None,
) -> None:
    r"""Make chain-of-thought prompts: examples with reasoning.

    Examples have a text (`input`, `text` or `question`), `reasoning` and an output, or GSM8K's `answer`: the
    reasoning, `#### ` and the output. An example in a prompt is --question, the text, --answer, the reasoning
    and the conclusion (Wei et al. 2022). Without SHOTS, or with -k 0, the answer begins with --trigger
    (Kojima et al. 2022).

    The first argument is SHOTS; items come from other FILEs or stdin. Records are those of `few-shot`. The `gold`
    of a GSM8K item is the text after `#### `.

    Examples:
      lmkit prompt cot shots.jsonl < questions.txt
      lmkit prompt cot -k 8 train.jsonl test.jsonl > prompts.jsonl
      lmkit prompt cot --no-reasoning -k 8 train.jsonl test.jsonl > standard.jsonl
      lmkit prompt cot --input jsonl < test.jsonl > zero-shot.jsonl
    """
    count = selection.count
    if shots is None and (count or selection.ids is not None):
        raise UsageError("examples need SHOTS", hint="name a file of examples before the FILEs")
    if shots is not None and count is None and selection.select != "fixed":
        count = prompting.EXAMPLES
    selection.check()
    length.check()
    texts = list(files or [streams.STDIN])
    inputs = [shots, length.model, selection.similar_by, *texts]
    opening.check_single_stdin(*inputs)

    from lmkit.prompting.chain_of_thought import ReasoningLayout, told_apart
    from lmkit.prompting.prompt_records import PromptRecords

    parts = map(prompting.unescaped, (instruction, question, answer, conclusion, example_sep, trigger))
    layout = ReasoningLayout(not no_reasoning, *parts)
    with outputs.open_output(output) as out:
        examples: list[Example] = []
        if shots is not None:
            found = _shots(run, shots, reading)
            examples = list(_reasoned([told_apart(one, keep_marks=keep_marks) for one in found], not no_reasoning))
        selector = selection.selector(run, shots or "", examples, count)
        records = PromptRecords(layout, selector, length.budget(), examples)
        for item in map(told_apart, reading.items(run, texts)):
            out.line(to_json(records.record(item)))
        length.report(run, records.kept)


def _shots(run: Run, name: str, reading: prompting.ExampleOptions) -> list[Example]:
    """The examples of SHOTS. Raises DataError with a hint for users who named a file of questions."""
    try:
        return reading.examples(run, name)
    except DataError as error:
        if not str(error).endswith(": no output"):
            raise
        more = "SHOTS comes first; without SHOTS, pass questions on stdin"
        raise DataError(str(error), hint=f"{error.hint}. {more}") from None


def _reasoned(examples: Sequence[Example], needed: bool) -> Iterator[Example]:
    """The same examples. Raises DataError for one without reasoning where that is needed."""
    for example in examples:
        if needed and example.reasoning is None:
            raise DataError(
                f"{example.place}: no reasoning",
                hint="add a field `reasoning`, or `#### ` in the answer; or use --no-reasoning",
            )
        yield example
