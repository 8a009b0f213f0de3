"""`lmkit prompt zero-shot`: prompts that show no examples."""

from lmkit.commands import models as opening
from lmkit.commands.options import EncodingErrors, Json, Output, Run
from lmkit.commands.prompt import inputs, making, options
from lmkit.io import streams


def zero_shot(
    run: Run,
    files: options.Items = None,
    instruction: options.Instruction = "",
    sep: options.Sep = " => ",
    model: options.CountedBy = None,
    max_tokens: options.MaxTokens = None,
    room: options.Room = 0,
    form: options.ItemsForm = "auto",
    input_field: options.InputField = None,
    output_field: options.OutputField = None,
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
    length = making.Length(model, max_tokens, room)
    length.check()
    texts = list(files or [streams.STDIN])
    opening.one_stdin(model, *texts)

    from lmkit.prompting.layout import Layout

    layout = Layout(options.unescaped(instruction), options.unescaped(sep))
    with streams.open_output(output, inputs=[model, *texts]) as out:
        maker = making.Maker(layout, None, length.budget(), [])
        fields = inputs.fields_of(input_field, output_field)
        maker.write(run, inputs.items(run, texts, form, fields=fields, errors=encoding_errors), out)
