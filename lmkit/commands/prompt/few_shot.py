"""`lmkit prompt few-shot`: prompts that show examples."""

from lmkit.commands import models as opening
from lmkit.commands.options import EncodingErrors, Json, Output, Run, Seed
from lmkit.commands.prompt import inputs, making, options
from lmkit.commands.prompt.choosing import Chooser, Choosing
from lmkit.commands.sections import in_sections
from lmkit.io import streams


@in_sections({**options.SECTIONS, "Layout": ("instruction", "sep", "example_sep"), "Output": ("json", "output")})
def few_shot(
    run: Run,
    shots: options.Shots,
    files: options.Items = None,
    count: options.Count = None,
    select: options.Select = "first",
    ids: options.Ids = None,
    similar_by: options.SimilarBy = None,
    per_item: options.PerItem = False,
    arrange: options.Arrange = "selected",
    seed: Seed = 0,
    instruction: options.Instruction = "",
    sep: options.Sep = " => ",
    example_sep: options.ExampleSep = r"\n",
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
    r"""Prompts that show examples.

    A prompt is the instruction, K examples and an item, each an input, --sep and an output, of which the item has
    none. It ends in no space or tab: those are the record's `joint`, which comes before an answer. A record has
    `id`, `prompt`, and where there are such `joint`, `gold` (the item's output), `input`, `shots` (ids or line
    numbers of the examples, in order), `labels` (the outputs in SHOTS, if they are 20 at most), `dropped`, and what
    else the item's record has; its own `prompt`, `joint`, `shots`, `labels`, `dropped` and `slot` do not pass.

    SHOTS has an input, a tab and an output a line, or JSON Lines; it is held in memory. Items are answered as they
    come. An item is never among its own examples, be it the same id or the same text but for case, white space and
    kinds of characters (NFKC); examples that are the same as an earlier one are left out.

    Examples:
      lmkit prompt few-shot -k 4 shots.tsv < inputs.txt
      lmkit prompt few-shot --instruction 'Translate English to French:' -k 3 shots.tsv words.txt
      lmkit prompt few-shot -k 8 --select similar --arrange reversed train.jsonl test.jsonl > prompts.jsonl
      lmkit prompt few-shot -k 8 -m model.lm --max-tokens 1024 --room 16 shots.tsv inputs.txt
    """
    if count is None and select != "fixed":
        count = options.EXAMPLES
    choosing = Choosing(count, select, ids, similar_by, per_item, arrange, seed)
    length = making.Length(model, max_tokens, room)
    choosing.check()
    length.check()
    texts = list(files or [streams.STDIN])
    opening.one_stdin(shots, model, similar_by, *texts)

    from lmkit.prompting.layout import Layout

    layout = Layout(*map(options.unescaped, (instruction, sep, example_sep)))
    with streams.open_output(output, inputs=[shots, model, similar_by, *texts]) as out:
        fields = inputs.fields_of(input_field, output_field)
        examples = making.read(run, shots, shots_form, fields, encoding_errors)
        chooser = Chooser(run, choosing, examples, shots)
        maker = making.Maker(layout, chooser, length.budget(), making.labels_in(examples))
        maker.write(run, inputs.items(run, texts, form, fields=fields, errors=encoding_errors), out)
