"""`lmkit prompt cot`: prompts that show how answers come about, or ask for it."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from lmkit.commands import models as opening
from lmkit.commands.options import EncodingErrors, Json, Output, Run, Seed
from lmkit.commands.prompt import inputs, making, options
from lmkit.commands.prompt.choosing import Chooser, Choosing
from lmkit.commands.sections import in_sections
from lmkit.errors import DataError, UsageError
from lmkit.io import streams
from lmkit.prompting.examples import Example

LAYOUT = ("no_reasoning", "question", "answer", "conclusion", "trigger", "keep_marks", "instruction", "example_sep")


@in_sections({**options.SECTIONS, "Layout": LAYOUT, "Output": ("json", "output")})
def cot(
    run: Run,
    shots: Annotated[
        str | None,
        typer.Argument(
            metavar="[SHOTS]", show_default=False, help="Examples with their reasoning, JSON Lines; `-`: stdin."
        ),
    ] = None,
    files: options.Items = None,
    count: options.Count = None,
    select: options.Select = "first",
    ids: options.Ids = None,
    similar_by: options.SimilarBy = None,
    per_item: options.PerItem = False,
    arrange: options.Arrange = "selected",
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
    instruction: options.Instruction = "",
    example_sep: options.ExampleSep = r"\n\n",
    model: options.CountedBy = None,
    max_tokens: options.MaxTokens = None,
    room: options.Room = 0,
    form: options.ItemsForm = "auto",
    shots_form: options.ShotsForm = "auto",
    input_field: options.InputField = None,
    output_field: options.OutputField = None,
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
        count = options.EXAMPLES
    choosing = Choosing(count, select, ids, similar_by, per_item, arrange, seed)
    length = making.Length(model, max_tokens, room)
    choosing.check()
    length.check()
    texts = list(files or [streams.STDIN])
    opening.one_stdin(shots, model, similar_by, *texts)

    from lmkit.prompting.chain_of_thought import ReasoningLayout, told_apart

    parts = map(options.unescaped, (instruction, question, answer, conclusion, example_sep, trigger))
    layout = ReasoningLayout(not no_reasoning, *parts)
    with streams.open_output(output, inputs=[shots, model, similar_by, *texts]) as out:
        fields = inputs.fields_of(input_field, output_field)
        examples: list[Example] = []
        if shots is not None:
            found = _shots(run, shots, shots_form, fields, encoding_errors)
            examples = list(_reasoned([told_apart(one, keep_marks=keep_marks) for one in found], not no_reasoning))
        chooser = Chooser(run, choosing, examples, shots or "")
        maker = making.Maker(layout, chooser, length.budget(), making.labels_in(examples))
        items = inputs.items(run, texts, form, fields=fields, errors=encoding_errors)
        maker.write(run, map(told_apart, items), out)


def _shots(run: Run, name: str, form: str, fields: inputs.Fields, errors: str) -> list[Example]:
    """The examples of SHOTS. Raises DataError, which says where questions go, as it may be these that were named."""
    try:
        return making.read(run, name, form, fields, errors)
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
