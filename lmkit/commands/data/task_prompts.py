"""`lmkit data format --style t0`: prompts of many tasks, each by templates of its own, and which tasks are held out.

Sanh et al. (2022): a model is trained on prompts of some tasks and evaluated on others.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lmkit.commands.loading import models as opening
from lmkit.commands.options.standard import Run
from lmkit.commands.options.templates import Render, text_renderer
from lmkit.commands.records import items
from lmkit.commands.records.corpora import number_of
from lmkit.commands.records.record_files import open_records
from lmkit.errors import DataError, UsageError
from lmkit.io import outputs, streams, yaml_json
from lmkit.io.record_reader import form_of
from lmkit.io.records import id_key, to_json
from lmkit.prompting import named_templates
from lmkit.prompting.examples import OUTPUTS
from lmkit.prompting.slot_templates import FilledTemplate

COLUMNS = ("input", "output")
ANSWERS = (*OUTPUTS, "target")
"""Fields with the output of a record whose template does not say it."""


class TaskTemplate(NamedTuple):
    """A template of prompts, and one of outputs where the record's own output is not meant."""

    prompt: Render
    output: Render | None


class Formatted(NamedTuple):
    """A prompt, its output, the field that the output came from, and the number of the template, from 0."""

    filled: FilledTemplate
    output: str | None
    said_by: str | None
    template: int


def read_templates(name: str) -> dict[str, list[TaskTemplate]]:
    """Return the templates of each task of a file: texts, or mappings with `prompt` and `output`. Raises DataError."""
    shown, found = streams.display(name), yaml_json.read(name)
    if not isinstance(found, Mapping) or not found:
        raise DataError(f"{shown}: no tasks with lists of templates", hint="summarize: ['Summarize: [X]']")
    made = {}
    for task, templates in found.items():
        listed = templates if isinstance(templates, list) else [templates]
        made[str(task)] = [_template(one, f"{shown}: template {at} of {task!r}") for at, one in enumerate(listed)]
        if not listed:
            raise DataError(f"{shown}: the task {task!r} has no templates")
    return made


def _template(value: Any, place: str) -> TaskTemplate:
    parts = value if isinstance(value, Mapping) else {"prompt": value}
    if set(parts) - {"prompt", "output"} or not all(isinstance(part, str) for part in parts.values()):
        raise DataError(f"{place} is neither a text nor a mapping with `prompt` and `output`")
    if "prompt" not in parts:
        raise DataError(f"{place} has no `prompt`")
    with opening.error_context(place):
        prompt = text_renderer(parts["prompt"], place)
        output = None if "output" not in parts else text_renderer(parts["output"], place) or _constant(parts["output"])
    if prompt is None:
        raise DataError(f"{place} has neither [X] nor Jinja2")
    return TaskTemplate(prompt, output)


def _constant(text: str) -> Render:
    return lambda records: (FilledTemplate(text, "", None) for _ in records)


@dataclass
class TaskPrompts:
    """Prompts of records by the templates of their tasks; without templates all are multiple-choice questions."""

    templates: Mapping[str, list[TaskTemplate]] | None
    task: str | None
    seed: int
    held_out: frozenset[str]
    """Tasks of the evaluation, which no record may be of unless that is allowed."""
    allowed: bool = False
    overlapping: dict[str, int] = field(default_factory=dict)
    """How many records were of each of them all the same."""

    @classmethod
    def of(
        cls, run: Run, templates: str | None, task: str | None, seed: int, against: str | None, *, allowed: bool
    ) -> "TaskPrompts":
        """Read the files. Raises DataError, UsageError."""
        if allowed and against is None:
            raise UsageError("--allow-overlap needs --against")
        read = None if templates is None else read_templates(templates)
        return cls(read, task, seed, frozenset() if against is None else frozenset(tasks_in(run, against)), allowed)

    @property
    def columns(self) -> tuple[str, ...]:
        """What the columns of a table are."""
        return named_templates.FORMATS["t0-mcq"].columns if self.templates is None else COLUMNS

    def format(self, item: items.Item) -> Formatted:
        """Return the prompt of a record by a template drawn with its id. Raises DataError with its place."""
        if self.templates is None:
            return self._multiple_choice(item)
        task = self._checked(item)
        if task not in self.templates:
            known = ", ".join(self.templates)
            raise DataError(f"{item.place}: no templates for the task {task!r}", hint=f"there are some for {known}")
        from lmkit.data.keyed_random import stream_of

        own = self.templates[task]
        number = stream_of(self.seed, id_key(item.id), 0) % len(own)
        output, said_by = items.output_in(item, ANSWERS)
        with opening.error_context(item.place):
            (filled,) = own[number].prompt([item.fields])
            written = own[number].output
            if written is not None:
                (made,) = written([item.fields])
                output, said_by = made.text + made.joint, None
        return Formatted(filled, output, said_by, number)

    def _multiple_choice(self, item: items.Item) -> Formatted:
        if self.held_out or self.task is not None:
            self._checked(item)
        with opening.error_context(item.place):
            filled = named_templates.render(named_templates.FORMATS["t0-mcq"], item.fields)
            right = named_templates.right_choice(item.fields, "text")
        return Formatted(filled, right, items.output_in(item, ANSWERS)[1], 0)

    def _checked(self, item: items.Item) -> str:
        """Return the task of a record. Raises DataError where it is held out."""
        task = task_of(item.fields, item.place, self.task)
        if task in self.held_out:
            self.overlapping[task] = self.overlapping.get(task, 0) + 1
        if task in self.held_out and not self.allowed:
            raise DataError(
                f"{item.place}: the task {task!r} is one of --against, so evaluation on it would not be zero-shot",
                hint="leave it out, or --allow-overlap",
            )
        return task


def task_of(fields: Mapping[str, Any], place: str, task: str | None = None) -> str:
    """Return the task of a record, its `task` unless one is given for all. Raises DataError where it has none."""
    found = fields.get("task") if task is None else task
    if not isinstance(found, str) or not found:
        raise DataError(f"{place}: no field 'task'", hint="--task gives one to all")
    return found


def tasks_in(run: Run, name: str) -> Iterator[str]:
    """Yield the tasks of a file: the `task` of each record, or a task per line of plain text. Raises DataError."""
    file = open_records(run, name)
    form = form_of(name, "auto", "") or file.sniffed_form()
    for record in file.records(form):
        if record.fields is not None:
            yield task_of(record.fields, record.place)
        elif record.columns[0].strip():
            yield record.columns[0].strip()


def write(
    run: Run, prompts: TaskPrompts, source: items.Items, files: Sequence[str] | None, output: str | None, *, bare: bool
) -> None:
    """Write the prompt and output of each record. Raises DataError where one has none, or a task that is held out."""
    with outputs.open_output(output) as out:
        for item in source.of(files):
            filled, said, said_by, template = prompts.format(item)
            if said is None:
                raise DataError(f"{item.place}: no output, which t0 requires")
            if bare:
                out.line(f"{filled.text}{filled.joint}{said}")
                continue
            own = {} if prompts.task is None else {"task": prompts.task}
            record = {"id": item.id, **filled.fields(), "output": said, **own, "template": template}
            left = {key: value for key, value in item.fields.items() if key not in (*record, *items.OWN, said_by)}
            out.line(to_json({**record, **left}))
    for task, count in prompts.overlapping.items():
        run.terminal.notice(f"{number_of(count, 'record')} of the task {task!r}, which is one of --against")
