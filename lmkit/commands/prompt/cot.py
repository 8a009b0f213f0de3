"""`lmkit prompt cot`: prompts that show how answers come about, or ask for it."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options import prompting
from lmkit.commands.options.option_groups import in_sections, with_groups
from lmkit.commands.options.standard import Json, Output, Run
from lmkit.errors import DataError, UsageError
from lmkit.io import streams
from lmkit.io.records import to_json
from lmkit.prompting.examples import Example

LAYOUT = ("no_reasoning", "question", "answer", "conclusion", "trigger", "keep_marks", "instruction", "example_sep")


@in_sections({**prompting.SECTIONS, "Layout": LAYOUT, "Output": ("json", "output")})
@with_groups()
def cot(
    run: Run,
    shots: Annotated[
        str | None,
        typer.Argument(
            metavar="[SHOTS]", show_default=False, help="Examples with their reasoning, JSON Lines; `-`: stdin."
        ),
    ] = None,
    files: prompting.Items = None,
    *,
    selection: prompting.SelectionOptions,
    no_reasoning: Annotated[
        bool, typer.Option("--no-reasoning", help="Standard prompting: the same examples without their reasoning.")
    ] = False,
    question: Annotated[str, typer.Option("--question", metavar="TEXT", help="Before a question.")] = "Q: ",
    answer: Annotated[str, typer.Option("--answer", metavar="TEXT", help="Between a question and its answer.")] = (
        r"\nA: "
    ),
    conclusion: Annotated[
        str, typer.Option("--conclusion", metavar="TEXT", help="Behind the reasoning; `{}` is the output.")
    ] = "The answer is {}.",
    trigger: Annotated[
        str, typer.Option("--trigger", metavar="TEXT", help="How answers begin where no examples are shown.")
    ] = "Let's think step by step.",
    keep_marks: Annotated[bool, typer.Option("--keep-marks", help="Leave GSM8K's `<<48/2=24>>` in reasoning.")] = False,
    instruction: prompting.Instruction = "",
    example_sep: prompting.ExampleSep = r"\n\n",
    length: prompting.LengthOptions,
    reading: prompting.ExampleOptions,
    json: Json = False,
    output: Output = None,
) -> None:
    r"""Prompts that show how answers come about.

    Examples have a text (`input`, `text` or `question`), `reasoning` and an output, or as in GSM8K an `answer` in
    which `#### ` stands between the two. In a prompt they are Q, the text, A, the reasoning and the conclusion (Wei
    et al. 2022). Without SHOTS, or with -k 0, an answer begins with the trigger (Kojima et al. 2022). Records are
    those of `few-shot`; `gold` of GSM8K's items is what stands behind `#### `.

    The first argument is SHOTS; items come from the others or stdin. `lmkit sample prompts.jsonl` has answers.

    Examples:
      lmkit prompt cot shots.jsonl < questions.txt
      lmkit prompt cot -k 8 train.jsonl test.jsonl > prompts.jsonl
      lmkit prompt cot --no-reasoning -k 8 train.jsonl test.jsonl > standard.jsonl
      lmkit prompt cot --input jsonl < test.jsonl > zero-shot.jsonl
    """
    count = selection.count
    if shots is None and (count or selection.ids is not None):
        raise UsageError("no SHOTS to choose examples from")
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
    with streams.open_output(output, inputs=inputs) as out:
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
    """The examples of SHOTS. Raises DataError, which says where questions go, as it may be these that were named."""
    try:
        return reading.examples(run, name)
    except DataError as error:
        if not str(error).endswith(": no output"):
            raise
        more = "SHOTS comes first; without SHOTS questions come from stdin"
        raise DataError(str(error), hint=f"{error.hint}. {more}") from None


def _reasoned(examples: Sequence[Example], needed: bool) -> Iterator[Example]:
    """The same examples. Raises DataError for one without reasoning where that is needed."""
    for example in examples:
        if needed and example.reasoning is None:
            raise DataError(
                f"{example.place}: no reasoning",
                hint="a field `reasoning`, or `#### ` in the answer; or --no-reasoning",
            )
        yield example
