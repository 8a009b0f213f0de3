"""`lmkit prompt few-shot`: prompts that show examples."""

from typing import Annotated, Any

import typer

from lmkit.commands.options import Output, Run, Seed, choice
from lmkit.commands.prompt import inputs
from lmkit.edge import streams
from lmkit.edge.records import to_json

WAYS = ("first", "random")


def few_shot(
    run: Run,
    shots: Annotated[str, typer.Argument(metavar="SHOTS", help="Examples: TSV or JSON Lines.")],
    files: Annotated[list[str] | None, typer.Argument(metavar="[FILE]...", show_default=False)] = None,
    count: Annotated[int, typer.Option("--shots", "-k", metavar="K", min=0, help="Examples in each prompt.")] = 4,
    select: Annotated[
        str, typer.Option("--select", metavar="WAY", callback=choice(*WAYS), help="How examples are chosen.")
    ] = "first",
    instruction: Annotated[str, typer.Option("--instruction", metavar="TEXT", help="What stands first.")] = "",
    sep: Annotated[str, typer.Option("--sep", metavar="TEXT", help="Between input and output.")] = " => ",
    example_sep: Annotated[str, typer.Option("--example-sep", metavar="TEXT", help="Between examples.")] = "\\n",
    form: Annotated[str, typer.Option("--input", metavar="FORM", callback=choice(*inputs.FORMS))] = "auto",
    seed: Seed = 0,
    output: Output = None,
) -> None:
    """Prompts that show examples.

    Examples:
      lmkit prompt few-shot -k 4 shots.tsv < inputs.txt
    """
    from lmkit.using.prompting.layout import Layout
    from lmkit.using.prompting.selection import InOrder, shuffled

    examples = list(inputs.examples(run, shots, inputs.form_of(shots, "auto", "tsv"), labelled=True))
    selector = InOrder(examples) if select == "first" else shuffled(examples, seed)
    layout = Layout(instruction, _unescaped(sep), _unescaped(example_sep))
    with streams.open_output(output, inputs=[shots, *(files or [])]) as out:
        for name in files or [streams.STDIN]:
            for item in inputs.examples(run, name, inputs.form_of(name, form, "text"), labelled=False):
                chosen = selector.select(item, count)
                laid = layout.lay(chosen, item)
                record: dict[str, Any] = {"id": item.name, "prompt": laid.text}
                record |= {"joint": laid.joint} if laid.joint else {}
                record |= {"gold": item.output} if item.output is not None else {}
                record |= {"input": item.input, "shots": [shot.name for shot in chosen]}
                out.line(to_json({**record, **item.record}))


def _unescaped(text: str) -> str:
    return text.replace("\\n", "\n").replace("\\t", "\t")
