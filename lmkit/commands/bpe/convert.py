"""`lmkit bpe import` and `export`: tokenizers of other tools."""

import os
from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated, Any

import typer

from lmkit.commands.bpe.pretoken_counting import make_scheme
from lmkit.commands.loading import models as opening
from lmkit.commands.loading.provenance import checkpoint_bytes, content_record, origin
from lmkit.commands.options.standard import ModelOption, Output, Run, choice
from lmkit.errors import CheckpointError, UsageError
from lmkit.io import outputs, size_limits, streams

IMPORTED = ("tokenizer.json", "gpt2", "tiktoken", "sentencepiece", "subword-nmt")
EXPORTED = ("tokenizer.json", "gpt2", "tiktoken", "subword-nmt", "vocab.txt")
_IN_FOLDERS = (("tokenizer.json",), ("vocab.json", "merges.txt"), ("tokenizer.model",), ("spiece.model",))


def import_(
    run: Run,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...", help="Tokenizer file, both files of gpt2, or a folder. No FILE reads stdin."
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            callback=choice(*IMPORTED),
            show_default="by content",
            help="Input format: `tokenizer.json`, `gpt2`, `tiktoken`, `sentencepiece` or `subword-nmt`.",
        ),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(
            "--pattern",
            metavar="NAME",
            show_default="gpt4 for large tiktoken vocabularies, else gpt2",
            help="Pre-tokenization pattern, for formats that lack it: `gpt2`, `gpt4`, or a regular expression.",
        ),
    ] = None,
    output: Output = None,
) -> None:
    """Import a tokenizer from another tool.

    Formats: Hugging Face's tokenizer.json, GPT-2's vocab.json with merges.txt, tiktoken's ranks, SentencePiece
    models (BPE, unigram, char) and subword-nmt's codes. Ids are kept. Byte-level BPE runs in lmkit itself; other
    contents of a tokenizer.json, and SentencePiece models, run in the tokenizers library. Special tokens are
    added to or parsed from text only on request.

    Examples:
      lmkit bpe import tokenizer.json -o bpe.lm
      lmkit bpe import vocab.json merges.txt -o gpt2.lm
      lmkit bpe import --pattern gpt4 cl100k_base.tiktoken -o gpt4.lm
      lmkit bpe import spm.model | lmkit info
    """  # fmt: skip
    names = list(files or [streams.STDIN])
    opening.check_single_stdin(*names)
    config = None
    if len(names) == 1 and names[0] != streams.STDIN and os.path.isdir(names[0]):
        names, config = _in_folder(names[0])
    if len(names) > 2 or (len(names) == 2 and form not in (None, "gpt2")):
        raise UsageError("too many files", hint="only gpt2 has two: vocab.json and merges.txt")
    with outputs.open_output(output, binary=True) as out:
        contents = [_content(name, known=form is not None or len(names) > 1) for name in names]
        form = form or _detected(names, contents)
        tokenizer = _read(run, form, names, contents, config, pattern)
        record = origin("bpe import", {"format": form, "pattern": pattern}, list(map(_record, names, contents)))
        for piece in checkpoint_bytes(_file(tokenizer), record):
            out.write(piece)


def export(
    run: Run,
    file: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="Tokenizer, or any checkpoint that has one. No MODEL reads stdin."),
    ] = None,
    model: ModelOption = None,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORMAT",
            callback=choice(*EXPORTED),
            help="Output format: `tokenizer.json`, `gpt2` (vocab.json and merges.txt, in the folder of -o), "
            "`tiktoken`, `subword-nmt`, or `vocab.txt` (BERT's, of WordPiece).",
        ),
    ] = "tokenizer.json",
    output: Output = None,
) -> None:
    """Export a tokenizer to another tool's format.

    The other tool then gives the same ids. Where that is impossible, nothing is written, and the error says why.
    Some formats have no place for special tokens, patterns or normalization; configure those in the other
    tool.

    Examples:
      lmkit bpe export -m bpe.lm -o tokenizer.json
      lmkit bpe export bpe.lm --format gpt2 -o folder
      lmkit bpe train text.txt | lmkit bpe export --format tiktoken > ranks.tiktoken
    """  # fmt: skip
    if file is not None and model is not None:
        raise UsageError("the model is named twice")
    name = file or model or streams.STDIN
    if form == "gpt2" and output in (None, streams.STDIN):
        raise UsageError("gpt2 is two files", hint="name a folder for them with -o")
    tokenizer = opening.open_tokenizer(name)
    with opening.error_context(name):
        written = _written(form, tokenizer)
    if output is not None and form == "gpt2":
        outputs.make_folder(output)
    for end, data in written.items():
        target = os.path.join(output, end) if output is not None and end else output
        with outputs.open_output(target) as out:
            out.write(data)
    if form == "tiktoken":
        from lmkit.tokenization.formats.tokenizer_json_writer import expression

        run.terminal.notice(f"pass this pattern to tiktoken: {expression(tokenizer.scheme)}")


def _in_folder(folder: str) -> tuple[list[str], str | None]:
    """The files of a tokenizer in a folder, and its tokenizer_config.json. Raises CheckpointError for none."""
    there = set(streams.names_in(folder))
    others = [(name,) for name in sorted(there) if name.endswith((".model", ".tiktoken"))]
    for names in (*_IN_FOLDERS, *(others if len(others) == 1 else ())):
        if there.issuperset(names):
            config = os.path.join(folder, "tokenizer_config.json") if "tokenizer_config.json" in there else None
            return [os.path.join(folder, name) for name in names], config
    raise CheckpointError(f"{folder}: neither tokenizer.json, vocab.json with merges.txt, nor one .model or .tiktoken")


def _content(name: str, *, known: bool) -> bytes:
    """The bytes of a tokenizer's file; unless its format is known, the first only of what begins like none.

    Raises DataError for too many.
    """
    from lmkit.tokenization.formats.detection import begins_like_one

    def extent(start: bytearray) -> int:
        return size_limits.TOKENIZER.size + 1 if known or begins_like_one(bytes(start)) else 0

    data = streams.read_whole(name, extent)
    if len(data) > size_limits.TOKENIZER.size:
        raise size_limits.TOKENIZER.error(streams.display(name))
    return bytes(data)


def _detected(names: Sequence[str], contents: Sequence[bytes]) -> str:
    from lmkit.checkpoint import is_checkpoint
    from lmkit.tokenization.formats.detection import detect

    with opening.error_context(names[0]):
        if is_checkpoint(contents[0][:9]):
            raise CheckpointError("already a checkpoint, nothing to import")
        return detect(contents)


def _read(
    run: Run, form: str, names: Sequence[str], contents: Sequence[bytes], config: str | None, pattern: str | None
) -> Any:
    """The tokenizer of files in a known format."""
    from lmkit.tokenization.formats import sentencepiece, subword_nmt, tokenizer_json

    if pattern is not None:
        if form not in ("gpt2", "tiktoken"):
            raise UsageError(f"--pattern is for gpt2 and tiktoken; {form} has its own")
        make_scheme("byte", pattern, "none")
    if form == "gpt2":
        return _read_gpt2(names, contents, pattern)
    if form == "tokenizer.json":
        said = None
        if config is not None:
            said = bytes(streams.read_limited(config, size_limits.DOCUMENT))
            with opening.error_context(config):
                tokenizer_json.said_roles({}, said)
        with opening.error_context(names[0]):
            tokenizer = tokenizer_json.read(contents[0], said)
            if not tokenizer.has_merges:
                reason = tokenizer_json.why_foreign(contents[0])
                run.terminal.detail(f"served by the tokenizers library: {reason}")
            return tokenizer
    with opening.error_context(names[0]):
        if form == "tiktoken":
            return _read_tiktoken(run, contents[0], pattern)
        return sentencepiece.read(contents[0]) if form == "sentencepiece" else subword_nmt.read(contents[0])


def _read_gpt2(names: Sequence[str], contents: Sequence[bytes], pattern: str | None) -> Any:
    from lmkit.tokenization.formats import gpt2
    from lmkit.tokenization.formats.detection import is_json

    if len(names) != 2:
        raise UsageError("gpt2 is two files", hint="name vocab.json and merges.txt, or their folder")
    order = (0, 1) if is_json(contents[0]) or not is_json(contents[1]) else (1, 0)
    vocabulary, merges = order
    with opening.error_context(names[vocabulary]):
        ids = gpt2.read_vocabulary(contents[vocabulary])
    with opening.error_context(names[merges]):
        _, pairs = gpt2.read_pairs(contents[merges])
    with opening.error_context(f"{names[vocabulary]} with {names[merges]}"):
        return gpt2.read(ids, pairs, pattern or "gpt2")


def _read_tiktoken(run: Run, data: bytes, pattern: str | None) -> Any:
    from lmkit.tokenization.formats import tiktoken

    tokenizer = tiktoken.read(tiktoken.read_ranks(data), pattern)
    if pattern is None:
        run.terminal.notice(
            f"no pattern in the rank file, assuming {tokenizer.scheme.pattern} from the vocabulary size"
        )
    return tokenizer


def _written(form: str, tokenizer: Any) -> dict[str, bytes]:
    """What is to be written, by name in a folder; the empty name is the output itself."""
    from lmkit.tokenization.formats import gpt2, subword_nmt, tiktoken, tokenizer_json_writer, vocab_txt

    if form == "gpt2":
        vocabulary, merges = gpt2.write(tokenizer)
        return {"vocab.json": vocabulary, "merges.txt": merges}
    modules = {
        "tokenizer.json": tokenizer_json_writer, "tiktoken": tiktoken, "subword-nmt": subword_nmt,
        "vocab.txt": vocab_txt,
    }  # fmt: skip
    return {"": modules[form].write(tokenizer)}


def _record(name: str, data: bytes) -> dict[str, Any]:
    return content_record(name, {"bytes": len(data), "sha256": sha256(data).hexdigest()})


def _file(tokenizer: Any) -> Any:
    from lmkit.tokenization.tokenizer_file import TokenizerFile

    return TokenizerFile(tokenizer)
