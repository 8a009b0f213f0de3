"""`lmkit prompt zero-shot`: prompts without examples."""

from lmkit.commands.loading import models as opening
from lmkit.commands.options import prompting
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import EncodingErrors, Json, Output, Run
from lmkit.commands.records import examples
from lmkit.io import outputs, streams
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
    r"""Make zero-shot prompts: an instruction and the item.

    A prompt is the instruction, the item and --sep: the same as with `few-shot -k 0`, but without a file of
    examples. With --max-tokens, a prompt over the token budget is an error.

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
    with outputs.open_output(output) as out:
        records = PromptRecords(layout, None, length.budget())
        fields = examples.fields_of(input_field, output_field)
        for item in examples.items(run, texts, form, fields=fields, errors=encoding_errors):
            out.line(to_json(records.record(item)))
        length.report(run, records.kept)
