"""`lmkit prompt few-shot`: prompts that show examples."""

from lmkit.commands.loading import models as opening
from lmkit.commands.options import prompting
from lmkit.commands.options.option_groups import in_sections, with_groups
from lmkit.commands.options.standard import Json, Output, Run
from lmkit.io import outputs, streams
from lmkit.io.records import to_json


@in_sections({**prompting.SECTIONS, "Layout": ("instruction", "sep", "example_sep"), "Output": ("json", "output")})
@with_groups()
def few_shot(
    run: Run,
    shots: prompting.Shots,
    files: prompting.Items = None,
    *,
    selection: prompting.SelectionOptions,
    instruction: prompting.Instruction = "",
    sep: prompting.Sep = " => ",
    example_sep: prompting.ExampleSep = r"\n",
    length: prompting.LengthOptions,
    reading: prompting.ExampleOptions,
    json: Json = False,
    output: Output = None,
) -> None:
    r"""Make few-shot prompts: an instruction, examples and the item.

    Each example is an input, --sep and an output. The item has no output, so the prompt ends with its --sep;
    trailing spaces and tabs of that become `joint`, the separator before the answer.

    SHOTS has an input, a tab and an output per line, or is JSON Lines; it is held in memory. Items are
    processed as they arrive. An item is never among its own examples, by id or by normalised text; repeated
    examples are used once.

    A record has `id`, `prompt` and `input`, and where they apply `joint`, `gold` (the item's output), `shots` (ids
    or line numbers of the examples), `labels` (the outputs in SHOTS, at most 20) and `dropped`. Other fields of
    the item are copied.

    Examples:
      lmkit prompt few-shot -k 4 shots.tsv < inputs.txt
      lmkit prompt few-shot --instruction 'Translate English to French:' -k 3 shots.tsv words.txt
      lmkit prompt few-shot -k 8 --select similar --arrange reversed train.jsonl test.jsonl > prompts.jsonl
      lmkit prompt few-shot -k 8 -m model.lm --max-tokens 1024 --room 16 shots.tsv inputs.txt
    """
    count = prompting.EXAMPLES if selection.count is None and selection.select != "fixed" else selection.count
    selection.check()
    length.check()
    texts = list(files or [streams.STDIN])
    inputs = [shots, length.model, selection.similar_by, *texts]
    opening.check_single_stdin(*inputs)

    from lmkit.prompting.layout import Layout
    from lmkit.prompting.prompt_records import PromptRecords

    layout = Layout(*map(prompting.unescaped, (instruction, sep, example_sep)))
    with outputs.open_output(output) as out:
        examples = reading.examples(run, shots)
        selector = selection.selector(run, shots, examples, count)
        records = PromptRecords(layout, selector, length.budget(), examples)
        for item in reading.items(run, texts):
            out.line(to_json(records.record(item)))
        length.report(run, records.kept)
