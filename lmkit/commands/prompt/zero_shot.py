"""`lmkit prompt zero-shot`: prompts that show no examples."""

from lmkit.commands.loading import models as opening
from lmkit.commands.options import prompting
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import EncodingErrors, Json, Output, Run
from lmkit.commands.records import examples
from lmkit.io import streams
from lmkit.io.records import to_json


@with_groups()
def zero_shot(
    run: Run,
    files: prompting.Items = None,
    instruction: prompting.Instruction = "",
    sep: prompting.Sep = " => ",
    *,
    length: prompting.LengthOptions,
    form: prompting.ItemsForm = "auto",
    input_field: prompting.InputField = None,
    output_field: prompting.OutputField = None,
    encoding_errors: EncodingErrors = "strict",
    json: Json = False,
    output: Output = None,
) -> None:
    r"""Prompts that show no examples.

    The instruction, and the item with --sep behind it: the prompts of `few-shot -k 0`, for which no examples need
    be there. With --max-tokens an item for which there is no room is an error.

    Examples:
      lmkit prompt zero-shot --instruction 'Translate English to French:' < words.txt
      lmkit prompt zero-shot --sep '\nSentiment: ' reviews.jsonl > prompts.jsonl
    """
    length.check()
    texts = list(files or [streams.STDIN])
    opening.check_single_stdin(length.model, *texts)

    from lmkit.prompting.layout import Layout
    from lmkit.prompting.prompt_records import PromptRecords

    layout = Layout(prompting.unescaped(instruction), prompting.unescaped(sep))
    with streams.open_output(output, inputs=[length.model, *texts]) as out:
        records = PromptRecords(layout, None, length.budget())
        fields = examples.fields_of(input_field, output_field)
        for item in examples.items(run, texts, form, fields=fields, errors=encoding_errors):
            out.line(to_json(records.record(item)))
        length.report(run, records.kept)
