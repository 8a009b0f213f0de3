"""The parser built from the command table, and the outer edge where every failure becomes one line and a status.

Only the module of the typed command is imported; the others are known by their summaries.
"""

import inspect
import math
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, redirect_stdout, suppress
from typing import Annotated, Any, get_args, get_origin

from lmkit import __version__, isolation
from lmkit.command_table import BUILT_IN, COMMANDS, GROUPS, SORTING, SPREAD, SUMMARY, function_of, typed_command
from lmkit.errors import LmkitError, MissingError, OutputError, Status, Stopped, UsageError

LARGEST: dict[Any, float] = {int: (1 << 31) - 1, float: 1e38}
"""What options of numbers take at most, where they do not say less; no option takes NaN or an infinity."""
_LONG = re.compile(r"\S{200,}")
WRITTEN = ("log", "items_file", "plot", "report")
"""Parameters beside `output` that name files which a command writes."""
READ = re.compile(r"\b(FILE|MODEL|FOLDER|INPUT|SHOTS|TRAIN|TEST|COUNTS)\b|^KIND$")
"""Metavariables of parameters that name files which it reads, a tokenizer's among them."""


def build(loaded: Sequence[str], *, alone: bool = False) -> Any:
    """The parser; only the commands in `loaded` bring their options with them, and `alone` there are no others."""
    import typer

    from lmkit.commands.options import help_pages
    from lmkit.commands.options.option_groups import command_class

    settings: dict[str, Any] = {"help_option_names": ["-h", "--help"], **help_pages.settings()}
    plain: dict[str, Any] = {
        "add_completion": False, "rich_markup_mode": None, "pretty_exceptions_enable": False,
        "context_settings": settings, "cls": help_pages.HelpGroup,
    }  # fmt: skip
    app = typer.Typer(help=SUMMARY, **plain)

    def show_version(asked: bool) -> None:
        if asked:
            print(f"lmkit {__version__}")
            raise typer.Exit

    def root(
        version: Annotated[
            bool,
            typer.Option("--version", "-V", is_eager=True, callback=show_version, help="Print the version and exit."),
        ] = False,
    ) -> None:
        """Commands follow."""

    app.callback()(root)
    groups = {name: typer.Typer(help=summary, **plain) for name, summary in GROUPS.items()}
    for name, (_, _, summary) in COMMANDS.items():
        group, _, verb = name.rpartition(" ")
        place = groups[group] if group else app
        if name in loaded:
            function = function_of(name)
            shown: dict[str, Any] = {
                "cls": command_class(function),
                "help": _help_text(function),
                "short_help": summary,
            }
            place.command(verb, **shown)(_with_shared_options(name, function))
        elif not alone:
            place.command(verb, short_help=summary)(_stub)
    for name, summary in BUILT_IN.items() if not alone else ():
        app.command(name, short_help=summary)(_stub)
    for name, group_app in groups.items():
        if group_app.registered_commands:
            app.add_typer(group_app, name=name, short_help=GROUPS[name])
    return typer.main.get_command(app)


def _stub() -> None:
    """Placeholder for a command that was not typed."""


def _help_text(function: Callable[..., Any]) -> str:
    """A command's docstring; paragraphs with indented lines, such as examples, keep their lines."""
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    return "\n\n".join(f"\b\n{text}" if "\n  " in text else text for text in paragraphs)


def _check_figure(plot: str, output: str | None) -> None:
    """Raises what keeps a figure from being drawn before a command begins."""
    from lmkit.io import outputs
    from lmkit.io.figures import files

    files.check(plot)
    outputs.expect_apart(output, plot)


def _with_shared_options(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with the options that every command has; its first parameter becomes the Run."""
    import typer

    from lmkit.commands.options.standard import Run
    from lmkit.io import config_file as yaml_settings
    from lmkit.io import mapped_files, outputs
    from lmkit.io.messages import Terminal

    def read_config(context: typer.Context, value: str | None) -> str | None:
        if value is not None:
            names = _long_names(context)
            several, flags = _options_that(context, "multiple"), _options_that(context, "is_flag")
            values = yaml_settings.read(value, set(names) - {"config", "print-config", "help"}, several, flags)
            if len({names[option] for option in values}) < len(values):
                raise UsageError(f"{value}: an option is given twice, in two spellings")
            context.default_map = {names[option]: setting for option, setting in values.items()}
        return value

    def command(invocation: typer.Context, **options: Any) -> None:
        shared = {key: options.pop(key) for key in ("config", "print_config", "quiet", "verbose", "debug")}
        if shared["print_config"]:
            first = {key: option for option, key in reversed(_long_names(invocation).items())}
            shown = {option: options[key] for key, option in reversed(first.items()) if key in options}
            with outputs.open_output(None) as out:
                out.write(yaml_settings.show(shown).encode())
            return
        for key, value in options.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise typer.BadParameter(f"{value} is not a finite number.", param_hint=f"--{key.replace('_', '-')}")
        if options.get("bare") and options.get("json"):
            raise UsageError("--bare and --json exclude each other")
        read = list(_files_read(invocation, options))
        for output in [options.get("output"), *(options[key] for key in WRITTEN if isinstance(options.get(key), str))]:
            outputs.refuse_overwriting_inputs(output, [shared["config"], options.get("cache"), *read])
        if options.get("plot") is not None:
            _check_figure(options["plot"], options.get("output"))
        mapped_files.program = f"lmkit {name}"
        Terminal.current = terminal = Terminal(quiet=shared["quiet"], verbose=shared["verbose"])
        with _Isolation() as isolated, isolation.started_by(isolated.start):
            try:
                function(Run(name, options, terminal, declared, _given(invocation), invocation.obj or ()), **options)
            finally:
                terminal.clear()

    def option(kind: Any, default: Any, *names: str, **more: Any) -> inspect.Parameter:
        annotation = Annotated[kind, typer.Option(*names, **more)]
        key = names[0].removeprefix("--").replace("-", "_")
        return inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)

    own = [_bounded(parameter) for parameter in list(inspect.signature(function).parameters.values())[1:]]
    declared = {parameter.name: parameter.annotation for parameter in own}
    invocation = inspect.Parameter("invocation", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    shared = [
        option(
            str | None, None, "--config", "-c", metavar="FILE", is_eager=True, callback=read_config,
            show_default=False, help="Read option values from a YAML file. Options on the command line win.",
        ),
        option(bool, False, "--print-config", help="Print the resolved settings as YAML and exit."),
        option(bool, False, "--quiet", "-q", help="Print no messages but errors."),
        option(bool, False, "--verbose", "-v", help="Print more messages."),
        option(bool, False, "--debug", help="Show a traceback with an error."),
    ]  # fmt: skip
    parameters = [invocation, *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own), *shared]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


class _Isolation(ExitStack):
    """Starts limited processes for templates, patterns and schemas, if there are any, and ends them."""

    _workers: Any = None

    def start(self, job: isolation.Job) -> isolation.Worker:
        """See `limited_process.Workers.start`."""
        if self._workers is None:
            from lmkit.io.limited_process import Workers

            self._workers = self.enter_context(Workers())
        worker: isolation.Worker = self._workers.start(job)
        return worker


def _given(context: Any) -> frozenset[str]:
    """Names of the parameters whose values were typed, or stand in the file of --config."""
    sources = {parameter.name: context.get_parameter_source(parameter.name) for parameter in context.command.params}
    return frozenset(name for name, source in sources.items() if source is not None and source.name != "DEFAULT")


def _long_names(context: Any) -> dict[str, str]:
    """Long option names, without dashes, to parameter names; of several spellings the first is the one to show."""
    return {
        spelling.removeprefix("--"): parameter.name
        for parameter in context.command.params
        for spelling in parameter.opts
        if spelling.startswith("--")
    }


def _bounded(parameter: inspect.Parameter) -> inspect.Parameter:
    """A command's parameter; of a numeric option without a largest number the one of all options."""
    from copy import copy

    if get_origin(parameter.annotation) is not Annotated:
        return parameter
    kind, info, *marks = get_args(parameter.annotation)
    most = next((LARGEST[one] for one in (get_args(kind) or [kind]) if one in LARGEST), None)
    if most is None or info.max is not None:
        return parameter
    option = copy(info)
    option.max = most
    option.min = -most if option.min is None else option.min
    return parameter.replace(annotation=Annotated[kind, option, *marks])


def _files_read(context: Any, options: Mapping[str, Any]) -> Iterator[str]:
    """What was given for those of a command's parameters that name files which it reads; of a folder its files too."""
    for parameter in context.command.params:
        if parameter.name not in (*WRITTEN, "output", "cache") and READ.search(parameter.metavar or ""):
            given = options.get(parameter.name)
            texts = [text for text in (given if isinstance(given, list) else [given]) if isinstance(text, str)]
            for name in (name for text in texts for name in {text, text.removeprefix("@")}):
                yield name
                with suppress(OSError, ValueError):
                    yield from (entry.path for entry in os.scandir(name))


def _options_that(context: Any, trait: str) -> set[str]:
    """Long names of the options with a trait of the parser's: `multiple`, `is_flag`."""
    having = {parameter.name for parameter in context.command.params if getattr(parameter, trait, False)}
    return {option for option, key in _long_names(context).items() if key in having}


def _stop(number: int, _frame: object) -> None:
    raise Stopped(Status.INTERRUPTED if number == signal.SIGINT else Status.TERMINATED)


def main(arguments: Sequence[str] | None = None) -> None:
    """The outer edge: runs a command and exits with its status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    _replace_closed_streams()
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:  # as under nohup, or of `lmkit &`
                signal.signal(number, _stop)
        _prepare_numpy(words)
        status = run(words)
    except Stopped as stopped:
        status = stopped.status
    if status == Status.UNWRITTEN:
        _abandon_stdout()
    sys.exit(status)


def _prepare_numpy(words: Sequence[str]) -> None:
    """Sets what numpy reads from the environment when it is imported."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # its own threads would make sums depend on their number
    if typed_command(words) in SORTING and not {"--help", "-h"}.intersection(words):
        from lmkit.io import processor

        processor.choose_sorts()


def run(words: Sequence[str]) -> int:
    """Runs the command that `words` name; returns its exit status, every failure shown on stderr."""
    name = typed_command(words)
    program = f"lmkit {name}" if name else "lmkit"
    debug = "--debug" in words or bool(os.environ.get("LMKIT_DEBUG"))
    try:
        status = _explained(words, name)
        _flush()
        return status
    except LmkitError as error:
        if debug:
            raise
        _tell(program, str(error), error.hint or _installing(error))
        return error.status
    except (MemoryError, RecursionError) as error:
        if debug:
            raise
        if isinstance(error, RecursionError):
            _tell(program, "nested too deeply")
            return Status.DATA
        _tell(program, f"out of memory ({error})")
        return Status.UNWRITTEN
    except OSError as error:
        if debug:
            raise
        _tell(program, f"{error.filename + ': ' if error.filename else ''}{error.strerror or error}")
        return Status.UNWRITTEN
    except Exception as error:
        if debug:
            raise
        where = error.__traceback__
        while where and where.tb_next:
            where = where.tb_next
        place = f"{os.path.basename(where.tb_frame.f_code.co_filename)}:{where.tb_lineno}" if where else "?"
        _tell(
            program, f"a bug in lmkit {__version__}: {type(error).__name__}: {error} ({place})",
            "run again with --debug and report the traceback",
        )  # fmt: skip
        return Status.BUG


def _explained(words: Sequence[str], name: str | None) -> int:
    """Runs the command. Raises CheckpointError where another process truncated a file, and a failure came of that."""
    try:
        return _parse_and_run(words, name)
    except (LmkitError, OSError):
        mapping = sys.modules.get("lmkit.io.mapped_files")
        if mapping is not None and (truncation := mapping.truncation()) is not None:
            raise truncation from None
        raise


def _takes_prompt(parser: Any, name: str) -> bool:
    """Whether a command has a text by --prompt."""
    for word in name.split():
        parser = parser.commands[word]
    return any("--prompt" in parameter.opts for parameter in parser.params)


def _parse_and_run(words: Sequence[str], name: str | None) -> int:
    if list(words) in (["--version"], ["-V"], ["version"]):
        print(f"lmkit {__version__}")
        return Status.DONE
    if list(words[:1]) == ["help"]:
        return _parse_and_run([*words[1:], "--help"], typed_command(words[1:]))
    if len(words) == 1 and words[0] in GROUPS:
        words = [*words, "--help"]
    first = name is not None and list(words[: len(name.split())]) == name.split()  # nothing lists the others
    parser = build([name] if name else [], alone=first)
    if not words:
        with redirect_stdout(sys.stderr):
            parser.main(args=["--help"], prog_name="lmkit", standalone_mode=False)
        return Status.USAGE
    try:
        typed = tuple(words)
        result = parser.main(args=_spread(words, name), prog_name="lmkit", standalone_mode=False, obj=typed)
    except Exception as error:
        if not hasattr(error, "format_message"):  # what the parser raises has it
            raise
        message = _LONG.sub(_shortened, " ".join(_parser_message(error).split()))
        group = next((word for word in words if not word.startswith("-")), None)
        known = name or (group if group in GROUPS else None)
        hint = f"lmkit {f'{known} ' if known else ''}--help"
        if "unexpected extra argument" in message and name is not None and _takes_prompt(parser, name):
            hint = "give the text with --prompt"
        raise UsageError(message, hint=hint) from None
    return result if isinstance(result, int) else Status.DONE


def _parser_message(error: Any) -> str:
    """What the parser says; for an unknown option, with the options that begin so, or that are spelled nearly so."""
    typed, context = getattr(error, "option_name", None), getattr(error, "ctx", None)
    if typed is None or context is None or not hasattr(error, "possibilities"):
        return str(error.format_message())
    from difflib import get_close_matches

    known = [f"--{name}" for name in _long_names(context)]
    near = [name for name in known if name.startswith(typed)] or get_close_matches(typed, known)
    return f"No such option: {typed}" + (f" (did you mean {' or '.join(near)}?)" if near else "")


def _shortened(found: re.Match[str]) -> str:
    return f"{found[0][:60]}...{found[0][-10:]}"


def _spread(words: Sequence[str], name: str | None) -> list[str]:
    """The words with `--option A B` as `--option A --option B`, where the command has such options."""
    taking, spread, option = SPREAD.get(name or "", ()), list[str](), None
    for place, word in enumerate(words):
        if word == "--":
            return [*spread, *words[place:]]
        if word.startswith("-") and len(word) > 1:
            option, first = (word if word in taking else None), True
            spread.append(word)
        else:
            spread += [word] if option is None or first else [option, word]
            first = False
    return spread


def _replace_closed_streams() -> None:
    """Replace standard streams that the caller closed: writing to stdout fails, stderr is discarded."""
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w", encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def _flush() -> None:
    """Flush stdout while a failure can still be reported."""
    try:
        sys.stdout.flush()
    except OSError as error:
        raise OutputError(f"<stdout>: {error.strerror}") from None


def _abandon_stdout() -> None:
    """What could not be written is not tried again when the interpreter ends."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _installing(error: LmkitError) -> str | None:
    """The command that installs what an error misses, if it is a package."""
    if not isinstance(error, MissingError) or error.package is None:
        return None
    from lmkit.io import installation

    return installation.adding(error.package)


def _tell(program: str, message: str, hint: str | None = None) -> None:
    from lmkit.io.messages import tell_error

    tell_error(program, message, hint)
