"""Laws that every command keeps."""

import json
import re
import shlex
from functools import cache

import pytest

from lmkit import cli, command_table

NAMES = tuple(command_table.COMMANDS)
NEEDED = {
    "ngram coverage": ["train.txt", "test.txt"],
    "data text": ["python-docs"],
    "data mask": ["--tokens", "char"],
    "train encoder": ["--tokens", "char"],
    "data nsp": ["--tokens", "char"],
    "calc posenc": ["--dimensions", "7", "--position", "7"],
    "prompt few-shot": ["shots.tsv"],
    "prompt ablate": ["shots.tsv"],
    "completion": ["bash"],
}
"""Arguments that a command can't be parsed without."""


@cache
def parser(name):
    command = cli.build([name])
    for word in name.split():
        command = command.commands[word]
    return command


def options(name):
    return [parameter for parameter in parser(name).params if parameter.param_type_name == "option"]


# A text comes from a file or stdin, a result goes to a file or stdout: the same bytes.


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "command",
    ["ppl -b -m model.lm", "score -q --json --explain -m model.lm", "ngram fit --order 3", "ngram count --order 3"],
)
def test_a_text_may_come_any_way(command, shell, shelf, write):
    write("text.txt", shelf["corpus.txt"].read_bytes())
    write("model.lm", shelf["witten-bell-3.lm"].read_bytes())
    script = """
    lmkit {0} < text.txt > 1; lmkit {0} - < text.txt > 2; lmkit {0} text.txt > 3
    cat text.txt | lmkit {0} | cat > 4; lmkit {0} -o 5 text.txt
    for n in 2 3 4 5; do cmp 1 $n || exit 9; done; wc -c < 1
    """
    done = shell(script.format(command))
    assert done.status == 0
    assert int(done.stdout) > 5


def test_perplexity_differs_by_the_name_of_the_text_only(lmkit, shelf):
    text = shelf["test.txt"]
    ways = [
        lmkit("ppl", "--json", "-m", shelf["witten-bell-3.lm"], text),
        lmkit("ppl", "--json", "-m", shelf["witten-bell-3.lm"], stdin=text.read_bytes()),
        lmkit("ppl", "--json", "-m", shelf["witten-bell-3.lm"], "-", stdin=text.read_bytes()),
        lmkit("ngram", "ppl", "--json", "-m", shelf["witten-bell-3.lm"], text),
    ]
    (first,), *rest = [done.records for done in ways]
    assert first["file"] == str(text)
    assert rest[0][0]["file"] == "<stdin>"
    assert all([{**first, "file": ""}] == [{**record, "file": ""}] for (record,) in rest)


def test_a_model_may_come_any_way(shell, shelf, write):
    write("text.txt", shelf["test.txt"].read_bytes())
    write("model.lm", shelf["witten-bell-3.lm"].read_bytes())
    done = shell("""
    set -e -o pipefail
    untyped() { sed 's/<stdin>/model.lm/; s/, "command": .*/}/'; }
    lmkit ppl --json -m model.lm text.txt | untyped > 1
    lmkit ppl --json -m - text.txt < model.lm | untyped | cmp - 1
    cat model.lm | lmkit ppl --json text.txt | untyped | cmp - 1
    gzip -c model.lm | lmkit ppl --json text.txt | untyped | cmp - 1
    lmkit next -m model.lm > 2; lmkit next < model.lm | cmp - 2
    lmkit sample -m model.lm > 3; cat model.lm | lmkit sample | cmp - 3
    lmkit ngram export model.lm > 4; lmkit ngram export -m model.lm | cmp - 4; lmkit ngram export < model.lm | cmp - 4
    """)
    assert (done.status, done.stdout) == (0, b"")


@pytest.mark.parametrize("name", ["ppl", "score", "next", "sample", "info", "ngram query", "ngram export"])
def test_output_to_a_file_is_output_to_stdout(name, lmkit, shelf, work):
    models = ["-m", str(shelf["juan.lm"])]
    texts = [str(shelf["juan.txt"])] if name in ("ppl", "score") else []
    for extra in [], ["--json"] if name != "ngram export" else []:
        plain = lmkit(*name.split(), *models, *texts, *extra)
        assert plain.status == 0
        filed = lmkit(*name.split(), *models, *texts, *extra, "-o", "out")
        assert (filed.status, filed.stdout) == (0, b"")
        without = re.compile(rb', "command": .*')
        assert without.sub(b"}", (work / "out").read_bytes()) == without.sub(b"}", plain.stdout) != b""


# Help.


@pytest.mark.parametrize("name", [*NAMES, *command_table.GROUPS, ""])
def test_help_is_shown(name, lmkit):
    done = lmkit(*name.split(), "--help")
    assert (done.status, done.stderr) == (0, "")
    assert done.text.startswith("Usage: lmkit")
    if name in NAMES:
        lists_every_option(name, done.text)
        has_examples_that_exist(done.text)


def lists_every_option(name, text):
    for option in options(name):
        assert option.help
        assert re.search(rf"(^|[\s,/]){re.escape(option.opts[0])}\b", text, re.MULTILINE), option.opts
    if name != "ngram ppl":
        assert parser(name).help.startswith(command_table.COMMANDS[name].summary)


def has_examples_that_exist(text):
    """Its examples are two lines or more, of commands and options that there are."""
    examples = re.search(r"Examples:\n(.*?)\n\n", text, re.DOTALL)[1]
    assert len(examples.splitlines()) >= 2
    for line in examples.splitlines():
        for part in re.split(r"[|;]", line):
            words = shlex.split(part)
            if "lmkit" not in words:
                assert words[0] in ("echo", "printf", "ls", "sort", "xargs", "head"), part
                continue
            words = words[words.index("lmkit") + 1 :]
            command = command_table.typed_command(words)
            assert command, part
            known = {spelling for option in options(command) for spelling in option.opts + option.secondary_opts}
            assert {word for word in words if re.match(r"--?[a-z]", word)} <= known, part


@pytest.mark.parametrize("name", ["", "ngram", "ppl", "prompt few-shot"])
def test_help_has_a_short_name(name, lmkit):
    assert lmkit(*name.split(), "-h") == lmkit(*name.split(), "--help")


REDEFINED = {
    "--adapter": "the adapter of a prediction; the one to merge",
    "--against": "a text to measure by; a second system's predictions",
    "--alpha": "of stupid backoff; of LoRA",
    "--arch": "of word vectors; of an encoder-decoder",
    "--as": "what encode writes; what decode reads; what data next writes",
    "--bare": "a number; the words of an answer; a cosine or a yes or no",
    "--batch": "rows of a step of training; texts that are generated at once",
    "--batch-tokens": "of scoring; of a step of training",
    "--by": "what is a sequence for training; what a context of an example ends at; fields of a table",
    "--causal": "what is counted; a mask",
    "--cell": "of a language model, which may see the input only; of an encoder-decoder",
    "--compare": "compressors; models",
    "--counts": "a file of counts to import; files of counts to measure",
    "--dim": "of word vectors; of n-grams' vectors in a classifier",
    "--dropout": "of merges; of activations",
    "--engine": "counts merged as a tree; results joined in order",
    "--epochs": "passes over a text; over examples",
    "--epsilon": "of a norm; of a filter",
    "--explain": "ppl: lines and formulas; score: factors",
    "--field": "a text; a prediction",
    "--format": "formats to read; formats to write",
    "--from-counts": "counts of n-grams; counts of pre-tokens",
    "--gold": "answers; labels of tokens",
    "--heads": "with what else their number changes; alone",
    "--input": "how texts are stored; records with prompts, or lines; items of which prompts are made",
    "--joint": "a matrix of two symbols; what stands before an answer",
    "--label-smoothing": "over tokens; over labels",
    "--l2": "of a bag, chosen on validation; of a linear tagger",
    "--kind": "of attention masks; of noise",
    "--language": "of prompts; of texts to keep",
    "--layer": "one to print; how many of a vision transformer run",
    "--level": "what merges start from; how much of the resamples an interval holds",
    "--list": "the named templates; the rules",
    "--lr": "peak of AdamW's; that which falls from the beginning",
    "--max-tokens": "of what is generated; of a prompt",
    "--max-vocab": "others are `<unk>`; others are left out",
    "--memory": "for counting; for a text as numbers",
    "--method": "of an analogy; a law",
    "--min-count": "others are `<unk>`; others are left out",
    "--mix": "of models; of training data",
    "--model": "of one model, of several, of what counts tokens, and of info, which takes anything",
    "--norm": "where a layer normalises; which scores of answers decide",
    "--normalize": "normal forms of text; to rescale weights; to compare texts",
    "--number": "samples to draw; tokens of a mask",
    "--objective": "of an encoder; of an encoder-decoder",
    "--on-error": "of records; of runs",
    "--optimizer": "what trains; what memory is counted for",
    "--order": "of n-grams; of n-grams to list; of filters",
    "--output": "a file; a table of runs",
    "--pairs": "a file of sources and targets; that records are such pairs",
    "--patience": "evaluations of a text; one an epoch",
    "--pattern": "what training is to use; what an imported file does not say",
    "--positions": "of decoders; of encoders, which without them read a bag of words",
    "--positive": "words to add; the label that is asked about",
    "--precision": "of an encoder's products; of training; of a plan",
    "--preset": "what to train; what to count",
    "--prompt": "a text to go on from; a prompt with a place for its answer",
    "--scheme": "what to train with; what to read",
    "--seeds": "of fine-tuning; of random labels",
    "--select-by": "loss or accuracy; the metrics of a task",
    "--shots": "examples in a prompt; numbers of them to compare",
    "--strict": "about marks of a template; about words of a verbalizer",
    "--target": "a text to align; a file of targets",
    "--task": "of a test set of vectors; of a format of prompts; of a recurrent model",
    "--temperature": "of tokens; of weights",
    "--template": "of items; of conversations",
    "--templates": "to compare; by task",
    "--text": "a file to measure; a text itself",
    "--threads": "of what is counted exactly; of training",
    "--threshold": "of relative entropy; of a rule",
    "--tokens": "what tokens are; how many a mixture has",
    "--top": "tokens to show; words to show",
    "--truncate": "lines for an encoder; conversations",
    "--unit": "of information; of what is compared",
    "--unknown": "a flag of sample; a name for bpe encode",
    "--valid": "a text; examples",
    "--valid-fraction": "the whole of what is held out; what a sweep holds out without a text",
    "--vocab": "a file of words; of pieces; a number of words to plan for",
    "--vocab-size": "of a tokenizer; of each tokenizer that pairs give, at most",
    "--weights": "of models; of corpora",
    "--window": "of a prompt; of an entropy over a stream; around a word",
}
"""Options that deliberately mean different things in different commands."""
SHORT_REDEFINED = {"-k": {"--top-k", "--shots"}}
"""Short names that deliberately stand for different options in different commands."""


def test_an_option_has_one_help_text_in_all_commands():
    texts = {}
    for name in NAMES:
        for option in options(name):
            texts.setdefault(option.opts[0], {}).setdefault(option.help, []).append(name)
    differing = {option: found for option, found in texts.items() if len(found) > 1}
    assert set(differing) == set(REDEFINED), json.dumps(differing, indent=1)


def test_an_option_has_one_short_name_in_all_commands():
    longs, shorts = {}, {}
    for name in NAMES:
        for option in options(name):
            short = [spelling for spelling in option.opts if len(spelling) == 2]
            for spelling in short:
                shorts.setdefault(spelling, set()).add(option.opts[0])
            longs.setdefault(option.opts[0], set()).add(tuple(short))
    assert all(len(found) == 1 for found in longs.values()), longs
    assert {short: found for short, found in shorts.items() if len(found) > 1} == SHORT_REDEFINED


def test_every_command_has_the_shared_options():
    shared = {"--config", "--print-config", "--quiet", "--verbose", "--debug", "--output"}
    lacking = {name: shared - {spelling for option in options(name) for spelling in option.opts} for name in NAMES}
    assert {name: missing for name, missing in lacking.items() if missing} == {}


BARE = [name for name in NAMES if {"--bare", "--json"} <= {option.opts[0] for option in options(name)}]


@pytest.mark.parametrize("name", BARE)
def test_a_bare_number_is_not_json(name, fails):
    assert "--bare and --json exclude each other" in fails(2, *plain(name), "-b", "--json").stderr


# Settings.


def parsed(data):
    import yaml

    return yaml.safe_load(data)


def plain(name):
    return [*name.split(), *NEEDED.get(name, [])]


def filled(name):
    """A value for every option of a command."""
    words = []
    for option in options(name):
        if option.opts[0] in ("--config", "--print-config", "--help", "--debug"):
            continue
        if option.is_flag:
            words.append((option.secondary_opts or option.opts)[0])
            continue
        for number in range(2 if option.multiple else 1):
            words += [option.opts[0], value(option, number, name)]
    return [*plain(name), *words]


def value(option, number, name):
    fixed = {"--tokens": "char", "--smoothing": "katz", "--encoding-errors": "replace", "--engine": "dask",
             "--unit": "nats", "--to": "lm", "--unit-of": "line", "--correction": "grassberger",
             "--level": "char", "--as": "ids", "--marker": "@@", "--format": "tiktoken",
             "--score": "dot", "--normalisation": "rmsnorm", "--variant": "slide", "--by": "stream",
             "--device": "cuda", "--kind": "full", "--each": "token", "--pool": "last", "--optimizer": "adamw",
             "--schedule": "noam", "--loss-at": "last", "--select-by": "accuracy", "--precision": "bf16",
             "--cell": "gru", "--preset": "gpt2", "--positions": "none", "--norm": "post",
             "--activation": "relu2", "--biases": "qkv", "--input": "jsonl", "--arch": "cbow", "--cbow-combine": "sum",
             "--loss": "softmax", "--negatives": "7", "--task": "similarity", "--projection": "tsne",
             "--perplexity": "7", "--select": "balanced", "--arrange": "reversed", "--shots-input": "tsv",
             "--answers": "letter", "--language": "es", "--style": "t5", "--tokenize": "intl",
             "--subwords": "3-6", "--on-error": "skip", "--bos": "always", "--punctuation": "split",
              "--algorithm": "bpe"}  # fmt: skip
    if option.metavar == "json|csv":
        return "csv"
    if name.startswith("eval"):
        fixed |= {"--level": "0.25", "--rule": "gold"}
    if name == "eval wins":
        fixed["--norm"] = "bytes"
    if name == "train rnn":
        fixed["--task"] = "tag"
    if name == "train encoder":
        fixed |= {"--preset": "roberta", "--objective": "electra"}
    if name == "train seq2seq":
        fixed |= {"--arch": "transformer", "--attention": "concat", "--attn-timing": "prev", "--preset": "marian"}
        fixed |= {"--objective": "noise", "--mean-length": "7"}
    if name.startswith("data"):
        fixed |= {"--unit": "line", "--max-ratio": "7", "--clean": "test", "--mean-length": "7"}
        fixed.pop("--language")
    if name.startswith("prompt"):
        fixed |= {"--norm": "pmi", "--aggregate": "max", "--level": "0.25"}
    if name.startswith("w2v"):
        fixed |= {"--format": "glove", "--method": "cosmul", "--which": "both"}
    if name.startswith("finetune"):
        fixed |= {"--class-weights": "balanced", "--pooling": "mean", "--scheme": "bioes", "--truncate": "end"}
    if name == "finetune regress":
        fixed["--select-by"] = "pearson"
    if name in ("predict", "embed"):
        fixed["--as"] = "bio" if name == "predict" else "npy"
    if name == "eval tag":
        fixed |= {"--scheme": "bioes", "--level": "0.25"}
    if name.startswith("scaling"):
        fixed |= {
            "--tokens": "char" if name == "scaling run" else "7.0",
            "--level": "0.25",
            "--on-error": "skip",
            "--outliers": "drop",
        }
        fixed |= {"--method": "power-law", "--published": "hoffmann", "--precision": "bf16"}
    types = {
        "quantity": "7.0",
        "int range": "7",
        "float range": "0.25",
        "float": "0.25",
        "str": f"\u00e9: '#\n- {number}",
    }
    return fixed.get(option.opts[0], types[option.type.name])


@pytest.mark.parametrize("make", [plain, filled], ids=["none", "all"])
@pytest.mark.parametrize("name", NAMES)
def test_printed_settings_are_read_back(name, make, lmkit, work):
    printed = lmkit(*make(name), "--print-config")
    assert printed.status == 0, printed.stderr
    settings = parsed(printed.stdout)
    names = {option.opts[0].removeprefix("--") for option in options(name)}
    assert set(settings) == names - {"help", "config", "print-config", "quiet", "verbose", "debug"}
    (work / "settings.yaml").write_bytes(printed.stdout)
    again = lmkit(*plain(name), "--config", "settings.yaml", "--print-config")
    assert again.status == 0, again.stderr
    assert again.text == printed.text


@pytest.mark.parametrize("name", NAMES)
def test_unknown_settings_are_refused(name, fails, write):
    done = fails(2, *plain(name), "--config", write("bad.yaml", b"outputt: x\n"))
    assert "bad.yaml: unknown option 'outputt'" in done.stderr
    assert "hint: did you mean 'output'?" in done.stderr
