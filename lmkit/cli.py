"""The command table, the parser built from it, and the outer edge where every failure becomes one line and a status.

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
from importlib import import_module
from typing import Annotated, Any, NamedTuple, get_args, get_origin

from lmkit import __version__, isolation
from lmkit.errors import LmkitError, OutputError, Status, Stopped, UsageError


class Command(NamedTuple):
    """Where a command lives and what it does, in one line."""

    module: str
    function: str
    summary: str


NGRAM = "lmkit.commands.ngram"
BPE = "lmkit.commands.bpe"
W2V = "lmkit.commands.w2v"
TRAIN = "lmkit.commands.train"
CALC = "lmkit.commands.calc"
PROMPT = "lmkit.commands.prompt"
DATA = "lmkit.commands.data"
COMMANDS = {
    "ppl": Command("lmkit.commands.ppl", "ppl", "Compute perplexity of texts under any model."),
    "score": Command("lmkit.commands.score", "score", "Score each line or token: log-probability under any model."),
    "next": Command("lmkit.commands.next", "next_token", "Show the distribution of the next token after a prompt."),
    "sample": Command("lmkit.commands.sample", "sample", "Generate text with any model."),
    "embed": Command("lmkit.commands.embed", "embed", "Embed lines or tokens as vectors."),
    "attention": Command(
        "lmkit.commands.attention", "attention", "Print the attention weights of a transformer, or a mask."
    ),
    "entropy": Command("lmkit.commands.entropy.entropy", "entropy", "Measure the entropy of texts and distributions."),
    "compress": Command("lmkit.commands.compress", "compress", "Compress a file by arithmetic coding with any model."),
    "decompress": Command("lmkit.commands.compress", "decompress", "Decompress a file that `lmkit compress` wrote."),
    "info": Command("lmkit.commands.info", "info", "Describe a checkpoint: kind, sizes, tokenizer, provenance."),
    "convert": Command("lmkit.commands.convert", "convert", "Convert checkpoints to and from other tools' formats."),
    "completion": Command("lmkit.commands.completion", "completion", "Print a shell's completion script."),
    "ngram count": Command(f"{NGRAM}.count", "count", "Count the n-grams of a text."),
    "ngram merge": Command(f"{NGRAM}.merge", "merge", "Merge count files: add up their counts."),
    "ngram fit": Command(f"{NGRAM}.fit", "fit", "Fit a smoothed n-gram model to a text or to counts."),
    "ngram ppl": Command("lmkit.commands.ppl", "ppl", "Compute perplexity of texts; the same as `lmkit ppl`."),
    "ngram query": Command(f"{NGRAM}.query", "query", "Look up n-grams and their probabilities."),
    "ngram prune": Command(f"{NGRAM}.prune", "prune", "Prune a model: drop n-grams with little effect on perplexity."),
    "ngram mix": Command(f"{NGRAM}.mix", "mix", "Mix n-gram models into one (static interpolation)."),
    "ngram coverage": Command(
        f"{NGRAM}.coverage", "coverage", "Measure how many n-grams of a test text a training text contains."
    ),
    "ngram import": Command(f"{NGRAM}.convert", "import_", "Import an ARPA model or a table of counts."),
    "ngram export": Command(f"{NGRAM}.convert", "export", "Export a model as ARPA, or counts as a table."),
    "bpe train": Command(f"{BPE}.train", "train", "Train a tokenizer: learn byte-pair encoding (BPE) merges."),
    "bpe encode": Command(f"{BPE}.encode", "encode", "Encode text as ids or pieces."),
    "bpe decode": Command(f"{BPE}.decode", "decode", "Decode ids or pieces to text."),
    "bpe stats": Command(
        f"{BPE}.stats", "stats", "Report tokenizer statistics: fertility, compression, vocabulary use."
    ),
    "bpe count": Command(f"{BPE}.count", "count", "Count the distinct pre-tokens of a text."),
    "bpe import": Command(f"{BPE}.convert", "import_", "Import a tokenizer from another tool."),
    "bpe export": Command(f"{BPE}.convert", "export", "Export a tokenizer to another tool's format."),
    "w2v train": Command(f"{W2V}.train", "train", "Train word vectors on a text: word2vec."),
    "w2v similar": Command(f"{W2V}.similar", "similar", "Find the nearest neighbours of words."),
    "w2v analogy": Command(f"{W2V}.analogy", "analogy", "Solve analogies: find D so that A is to B as C is to D."),
    "w2v compare": Command(f"{W2V}.compare", "compare", "Compare words: cosine similarity and Euclidean distance."),
    "w2v eval": Command(f"{W2V}.eval", "eval_", "Evaluate word vectors on analogies or word similarity."),
    "w2v pairs": Command(f"{W2V}.pairs", "pairs", "List the (centre, context) training pairs of a text."),
    "w2v plot": Command(f"{W2V}.plot", "plot", "Plot word vectors on a plane by PCA or t-SNE."),
    "w2v import": Command(f"{W2V}.convert", "import_", "Import word vectors from another tool."),
    "w2v export": Command(f"{W2V}.convert", "export", "Export word vectors to another tool's format."),
    "train ffn": Command(f"{TRAIN}.ffn", "ffn", "Train a feed-forward n-gram model."),
    "train rnn": Command(f"{TRAIN}.rnn", "rnn", "Train a recurrent language model."),
    "train transformer": Command(f"{TRAIN}.transformer", "transformer", "Train a decoder-only transformer."),
    "prompt zero-shot": Command(
        f"{PROMPT}.zero_shot", "zero_shot", "Make zero-shot prompts: an instruction and the item."
    ),
    "prompt few-shot": Command(
        f"{PROMPT}.few_shot", "few_shot", "Make few-shot prompts: an instruction, examples and the item."
    ),
    "prompt cot": Command(f"{PROMPT}.cot", "cot", "Make chain-of-thought prompts: examples with reasoning."),
    "prompt fill": Command(f"{PROMPT}.fill", "fill", "Make prompts from a template."),
    "prompt chat": Command(f"{PROMPT}.chat", "chat", "Render conversations with a model's chat template."),
    "prompt extract": Command(
        f"{PROMPT}.extract", "extract", "Make prompts for event extraction, and check the answers."
    ),
    "prompt answer": Command(f"{PROMPT}.answer", "answer", "Choose the most probable of given answers to each prompt."),
    "prompt ablate": Command(f"{PROMPT}.ablate", "ablate", "Measure the effect of example labels on accuracy."),
    "prompt search": Command(f"{PROMPT}.search", "search", "Rank prompt templates by accuracy on a development set."),
    "prompt tree": Command(f"{PROMPT}.tree", "tree", "Answer prompts by tree-of-thoughts search or self-consistency."),
    "eval text": Command("lmkit.commands.eval.text", "text", "Measure the diversity of texts."),
    "data text": Command(f"{DATA}.texts", "text", "Print a sample text that every Python installation contains."),
    "data next": Command(f"{DATA}.texts", "next_", "List the next-token training examples of a text."),
    "data format": Command(f"{DATA}.format", "format_", "Format examples as prompts and outputs for training."),
    "eval classify": Command("lmkit.commands.eval.classify", "classify", "Score predicted labels against gold labels."),
    "eval regress": Command("lmkit.commands.eval.regress", "regress", "Score predicted numbers against gold numbers."),
    "eval answers": Command("lmkit.commands.eval.answers", "answers", "Extract answers from texts and score them."),
    "eval em": Command("lmkit.commands.eval.em", "em", "Compute exact match and token F1 of answers, as in SQuAD."),
    "eval bleu": Command("lmkit.commands.eval.bleu", "bleu", "Compute BLEU and chrF of texts against references."),
    "scaling plan": Command("lmkit.commands.scaling", "plan", "Count the parameters of models exactly."),
    "calc softmax": Command(f"{CALC}.distributions", "softmax", "Compute the softmax of logits."),
    "calc cross-entropy": Command(
        f"{CALC}.distributions", "cross_entropy", "Compute cross-entropy of distributions, or of logits and a target."
    ),
    "calc entropy": Command(f"{CALC}.distributions", "entropy", "Compute the entropy of probabilities."),
    "calc perplexity": Command(
        f"{CALC}.distributions", "perplexity", "Compute perplexity from token log-probabilities."
    ),
    "calc rnn-step": Command(
        f"{CALC}.rnn_cells", "rnn_step", "Compute one step of a simple (Elman) recurrent network."
    ),
    "calc lstm-step": Command(f"{CALC}.rnn_cells", "lstm_step", "Compute one step of an LSTM."),
    "calc gru-step": Command(f"{CALC}.rnn_cells", "gru_step", "Compute one step of a GRU."),
    "calc attention": Command(f"{CALC}.attention", "attention", "Compute attention scores, weights and outputs."),
    "calc sgns": Command(f"{CALC}.word2vec", "sgns", "Compute the skip-gram negative-sampling loss and its gradients."),
    "calc w2v-softmax": Command(
        f"{CALC}.word2vec", "w2v_softmax", "Compute word2vec's softmax probabilities, loss and gradients."
    ),
    "calc layernorm": Command(f"{CALC}.layers", "layernorm", "Compute layer normalization or RMSNorm."),
    "calc posenc": Command(f"{CALC}.layers", "posenc", "Compute the sinusoidal encoding of a position."),
}
BUILT_IN = {"help": "Show the help of a command.", "version": "Print the version."}
"""Words that are answered here, so that nothing is imported for them."""
SPREAD = {
    "w2v analogy": ("--positive", "--negative"),
    "eval bleu": ("--references",),
    "prompt search": ("--templates",),
    "ppl": ("--compare",),
    "ngram ppl": ("--compare",),
}
"""Options that take all words up to the next option; the parser knows them as options that may be repeated."""
SORTING = frozenset(
    {"ngram count", "ngram merge", "ngram fit", "ngram mix", "ngram import", "bpe train", "w2v train", "entropy"}
)
"""Commands that mostly sort; see `io.processor`. `bpe encode` is not one: AVX-512 is good for what it does."""
GROUPS = {
    "ngram": "N-gram models: count, fit, query, prune, mix, convert.",
    "bpe": "Tokenizers: train (BPE), encode, decode, measure, convert.",
    "w2v": "Word vectors: train, query, evaluate, plot, convert.",
    "train": "Train neural language models: feed-forward, recurrent, transformer.",
    "prompt": "Prompts: write, answer, search, compare.",
    "eval": "Score predictions against references.",
    "data": "Sample texts and training examples.",
    "scaling": "Model sizes: parameters and FLOPs.",
    "calc": "Calculate formulas on numbers given as JSON.",
}
LARGEST: dict[Any, float] = {int: (1 << 31) - 1, float: 1e38}
"""What options of numbers take at most, where they do not say less; no option takes NaN or an infinity."""
_LONG = re.compile(r"\S{200,}")
WRITTEN = ("log", "items_file", "plot")
"""Parameters beside `output` that name files which a command writes."""
READ = re.compile(r"\b(FILE|MODEL|FOLDER|INPUT|SHOTS|TRAIN|TEST|COUNTS)\b|^KIND$")
"""Metavariables of parameters that name files which it reads, a tokenizer's among them."""
SUMMARY = "Language modelling for the shell: train, score, sample and evaluate models in pipes."


def function_of(name: str) -> Callable[..., Any]:
    """The function behind a command, its module imported now."""
    command = COMMANDS[name]
    function: Callable[..., Any] = getattr(import_module(command.module), command.function)
    return function


def typed_command(words: Sequence[str]) -> str | None:
    """The command that the words name, if they name one."""
    words = [word for word in words if not word.startswith("-")]
    for length in (2, 1):
        if " ".join(words[:length]) in COMMANDS:
            return " ".join(words[:length])
    return None


def build(loaded: Sequence[str]) -> Any:
    """The parser; only the commands in `loaded` bring their options with them."""
    import typer

    from lmkit.commands.options.option_groups import command_class

    settings: dict[str, Any] = {"help_option_names": ["-h", "--help"]}
    plain: dict[str, Any] = {
        "add_completion": False, "rich_markup_mode": None, "pretty_exceptions_enable": False,
        "context_settings": settings,
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
        else:
            place.command(verb, short_help=summary)(_stub)
    for name, summary in BUILT_IN.items():
        app.command(name, short_help=summary)(_stub)
    for name, group_app in groups.items():
        app.add_typer(group_app, name=name, short_help=GROUPS[name])
    return typer.main.get_command(app)


def _stub() -> None:
    """Placeholder for a command that was not typed."""


def _help_text(function: Callable[..., Any]) -> str:
    """A command's docstring; paragraphs with indented lines, such as examples, keep their lines."""
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    return "\n\n".join(f"\b\n{text}" if "\n  " in text else text for text in paragraphs)


def _with_shared_options(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with the options that every command has; its first parameter becomes the Run."""
    import typer

    from lmkit.commands.options.standard import Run
    from lmkit.io import config_file as yaml_settings
    from lmkit.io import mapped_files, outputs
    from lmkit.io.terminal import Terminal

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
        mapped_files.program = f"lmkit {name}"
        Terminal.current = terminal = Terminal(quiet=shared["quiet"], verbose=shared["verbose"])
        with _Isolation() as isolated, isolation.started_by(isolated.start):
            try:
                function(Run(name, options, terminal, declared, _given(invocation)), **options)
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
        _tell(program, str(error), error.hint)
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


def _parse_and_run(words: Sequence[str], name: str | None) -> int:
    if list(words) in (["--version"], ["-V"], ["version"]):
        print(f"lmkit {__version__}")
        return Status.DONE
    if list(words[:1]) == ["help"]:
        return _parse_and_run([*words[1:], "--help"], typed_command(words[1:]))
    if len(words) == 1 and words[0] in GROUPS:
        words = [*words, "--help"]
    parser = build([name] if name else [])
    if not words:
        with redirect_stdout(sys.stderr):
            parser.main(args=["--help"], prog_name="lmkit", standalone_mode=False)
        return Status.USAGE
    try:
        result = parser.main(args=_spread(words, name), prog_name="lmkit", standalone_mode=False)
    except Exception as error:
        if not hasattr(error, "format_message"):  # what the parser raises has it
            raise
        message = _LONG.sub(_shortened, " ".join(_parser_message(error).split()))
        group = next((word for word in words if not word.startswith("-")), None)
        known = name or (group if group in GROUPS else None)
        raise UsageError(message, hint=f"lmkit {f'{known} ' if known else ''}--help") from None
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


def _tell(program: str, message: str, hint: str | None = None) -> None:
    from lmkit.io.terminal import visible

    print(visible(f"{program}: {' '.join(message.splitlines())}"), file=sys.stderr)
    if hint:
        print(visible(f"  hint: {hint}"), file=sys.stderr)
