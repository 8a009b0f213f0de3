"""`lmkit prompt answer`: the best of given answers to each prompt."""

from typing import Annotated

import typer

from lmkit.commands import models as opening
from lmkit.commands.options import ModelOption, Output, Run, choice
from lmkit.commands.prompt import inputs
from lmkit.edge import streams
from lmkit.edge.records import from_json, to_json
from lmkit.errors import DataError, UsageError


def answer(
    run: Run,
    files: Annotated[list[str] | None, typer.Argument(metavar="[FILE]...", show_default=False)] = None,
    model: ModelOption = None,
    labels: Annotated[
        str | None, typer.Option("--labels", metavar="LIST", help="The answers, parted by commas.")
    ] = None,
    norm: Annotated[
        str, typer.Option("--norm", metavar="NAME", callback=choice("none", "tokens", "bytes", "chars"))
    ] = "none",
    output: Output = None,
) -> None:
    """The best of given answers to each prompt.

    Examples:
      lmkit prompt answer -m model.lm --labels pos,neg < prompts.jsonl
    """
    from lmkit.using.prompting import answering

    if labels is None:
        raise UsageError("no answers", hint="--labels pos,neg")
    if model is None:
        raise UsageError("no model", hint="name one with -m MODEL")
    opened = opening.open_language_model(model)
    candidates = tuple(labels.split(","))
    with streams.open_output(output, inputs=[model, *(files or [])], live=True) as out:
        for name in files or [streams.STDIN]:
            for number, (place, line) in enumerate(inputs.lines(run, name), 1):
                record = from_json(line, place)
                prompt, known_by = record.pop("prompt", None), record.pop("id", number)
                if not isinstance(prompt, str):
                    raise DataError(f"{place}: no `prompt` that is a text")
                before, _, after = prompt.partition("[Z]")
                question = answering.Question(before, candidates, record.get("joint", ""), after)
                scored = next(iter(answering.score(opened, [question])))
                by_norm = {way: answering.normalised(scored, question, way) for way in answering.NORMS}
                chosen = candidates[answering.best(by_norm[norm])]
                scores = {
                    one: {way: by_norm[way][place] for way in answering.NORMS} for place, one in enumerate(candidates)
                }
                out.line(to_json({"id": known_by, "answer": chosen, "label": chosen, "scores": scores, **record}))
