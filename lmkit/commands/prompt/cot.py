"""`lmkit prompt cot`: prompts that show how answers come about, or ask for it."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from lmkit.commands.loading import models as opening
from lmkit.commands.options import prompting
from lmkit.commands.options.help_sections import in_sections
from lmkit.commands.options.standard import EncodingErrors, Json, Output, Run, Seed
from lmkit.commands.prompt import prompt_writer
from lmkit.commands.prompt.demonstrations import DemonstrationSelector, SelectionOptions
from lmkit.commands.records import examples as example_records
from lmkit.errors import DataError, UsageError
from lmkit.io import streams
from lmkit.prompting.examples import Example

LAYOUT = ("no_reasoning", "question", "answer", "conclusion", "trigger", "keep_marks", "instruction", "example_sep")


@in_sections({**prompting.SECTIONS, "Layout": LAYOUT, "Output": ("json", "output")})
def cot(
    run: Run,
    shots: Annotated[
        str | None,
        typer.Argument(
            metavar="[SHOTS]", show_default=False, help="Examples with their reasoning, JSON Lines; `-`: stdin."
        ),
    ] = None,
    files: prompting.Items = None,
    count: prompting.Count = None,
    select: prompting.Select = "first",
    ids: prompting.Ids = None,
    similar_by: prompting.SimilarBy = None,
    per_item: prompting.PerItem = False,
    arrange: prompting.Arrange = "selected",
    seed: Seed = 0,
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
    model: prompting.CountedBy = None,
    max_tokens: prompting.MaxTokens = None,
    room: prompting.Room = 0,
    form: prompting.ItemsForm = "auto",
    shots_form: prompting.ShotsForm = "auto",
    input_field: prompting.InputField = None,
    output_field: prompting.OutputField = None,
    encoding_errors: EncodingErrors = "strict",
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
    if shots is None and (count or ids is not None):
        raise UsageError("no SHOTS to choose examples from")
    if shots is not None and count is None and select != "fixed":
        count = prompting.EXAMPLES
    choosing = SelectionOptions(count, select, ids, similar_by, per_item, arrange, seed)
    length = prompt_writer.LengthOptions(model, max_tokens, room)
    choosing.check()
    length.check()
    texts = list(files or [streams.STDIN])
    opening.check_single_stdin(shots, model, similar_by, *texts)

    from lmkit.prompting.chain_of_thought import ReasoningLayout, told_apart

    parts = map(prompting.unescaped, (instruction, question, answer, conclusion, example_sep, trigger))
    layout = ReasoningLayout(not no_reasoning, *parts)
    with streams.open_output(output, inputs=[shots, model, similar_by, *texts]) as out:
        fields = example_records.fields_of(input_field, output_field)
        examples: list[Example] = []
        if shots is not None:
            found = _shots(run, shots, shots_form, fields, encoding_errors)
            examples = list(_reasoned([told_apart(one, keep_marks=keep_marks) for one in found], not no_reasoning))
        chooser = DemonstrationSelector(run, choosing, examples, shots or "")
        maker = prompt_writer.PromptWriter(layout, chooser, length.budget(), prompt_writer.labels_in(examples))
        items = example_records.items(run, texts, form, fields=fields, errors=encoding_errors)
        maker.write(run, map(told_apart, items), out)


def _shots(run: Run, name: str, form: str, fields: example_records.Fields, errors: str) -> list[Example]:
    """The examples of SHOTS. Raises DataError, which says where questions go, as it may be these that were named."""
    try:
        return prompt_writer.read(run, name, form, fields, errors)
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
