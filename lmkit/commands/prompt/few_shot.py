"""`lmkit prompt few-shot`: prompts that show examples."""

from lmkit.commands.loading import models as opening
from lmkit.commands.options import prompting
from lmkit.commands.options.help_sections import in_sections
from lmkit.commands.options.standard import EncodingErrors, Json, Output, Run, Seed
from lmkit.commands.prompt import prompt_writer
from lmkit.commands.prompt.demonstrations import DemonstrationSelector, SelectionOptions
from lmkit.commands.records import examples as example_records
from lmkit.io import streams


@in_sections({**prompting.SECTIONS, "Layout": ("instruction", "sep", "example_sep"), "Output": ("json", "output")})
def few_shot(
    run: Run,
    shots: prompting.Shots,
    files: prompting.Items = None,
    count: prompting.Count = None,
    select: prompting.Select = "first",
    ids: prompting.Ids = None,
    similar_by: prompting.SimilarBy = None,
    per_item: prompting.PerItem = False,
    arrange: prompting.Arrange = "selected",
    seed: Seed = 0,
    instruction: prompting.Instruction = "",
    sep: prompting.Sep = " => ",
    example_sep: prompting.ExampleSep = r"\n",
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
        count = prompting.EXAMPLES
    choosing = SelectionOptions(count, select, ids, similar_by, per_item, arrange, seed)
    length = prompt_writer.LengthOptions(model, max_tokens, room)
    choosing.check()
    length.check()
    texts = list(files or [streams.STDIN])
    opening.check_single_stdin(shots, model, similar_by, *texts)

    from lmkit.prompting.layout import Layout

    layout = Layout(*map(prompting.unescaped, (instruction, sep, example_sep)))
    with streams.open_output(output, inputs=[shots, model, similar_by, *texts]) as out:
        fields = example_records.fields_of(input_field, output_field)
        examples = prompt_writer.read(run, shots, shots_form, fields, encoding_errors)
        chooser = DemonstrationSelector(run, choosing, examples, shots)
        maker = prompt_writer.PromptWriter(layout, chooser, length.budget(), prompt_writer.labels_in(examples))
        maker.write(run, example_records.items(run, texts, form, fields=fields, errors=encoding_errors), out)
