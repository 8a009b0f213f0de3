"""`lmkit score`: log-probability per line or token."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmkit.commands.loading import mixtures, running_text, scoring_models
from lmkit.commands.loading import models as opening
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import Bare, Json, ModelsOption, NoEos, Output, Pseudo, Run
from lmkit.commands.options.text_input import TextFiles
from lmkit.commands.reports import pair_scoring, pseudo_scoring
from lmkit.errors import DataError, UsageError
from lmkit.io import outputs, streams
from lmkit.io.records import Table
from lmkit.io.text_sources import PLAIN, SourceReader
from lmkit.protocols import LanguageModel, Tokenizer, TokenScore, is_encoder_decoder

if TYPE_CHECKING:
    from lmkit.evaluation.perplexity import Line


@with_groups()
def score(
    run: Run,
    files: TextFiles = None,
    model: ModelsOption = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Print each token with its context and the n-gram order that supplied its probability.",
        ),
    ] = False,
    surprisal: Annotated[
        bool, typer.Option("--surprisal", help="Print the surprisal of each token, in bits and nats.")
    ] = False,
    pairs: Annotated[
        str | None,
        typer.Option(
            "--pairs",
            metavar="FILE",
            show_default=False,
            help="Minimal pairs: read two tab-separated sentences per line, print the more probable one, and how often "
            "it is the first. With an encoder-decoder: score targets given sources, of TSV or JSON Lines.",
        ),
    ] = None,
    no_eos: NoEos = False,
    pseudo: Pseudo = False,
    *,
    scoring: scoring_models.ScoringOptions,
    json: Json = False,
    bare: Bare = False,
    output: Output = None,
) -> None:
    """Score each line or token: log-probability under any model.

    Each input line gets one answer as soon as it arrives, so a long-running pipe gets answers at once. The
    end-of-line token is scored too (unless --no-eos), so the factors multiply to the probability of the whole
    sentence. Numbers are natural logarithms.

    Each line is scored as the beginning of a text, even by models trained on multi-line text; `lmkit ppl` scores
    those with their line ends. A model without an end-of-line token scores none. With --bos never, the first
    token of each line is given, at 0 nats. --mix scores the interpolated models, as in `lmkit ppl`.

    --pseudo takes an encoder: the sum over tokens of log p of each given all others of the line (Salazar et al.
    2020), which is no log-probability of the line.

    Examples:
      lmkit score -m model.lm sentences.txt
      echo "debido a las copiosas lluvias" | lmkit score -m model.lm --explain
      lmkit score -m model.lm --surprisal --json < text.txt
      lmkit score -m model.lm --pairs minimal.tsv
      lmkit score -m mt.lm --pairs pairs.tsv
    """
    if explain and surprisal:
        raise UsageError("--explain and --surprisal exclude each other")
    if bare and (explain or surprisal):
        raise UsageError("--bare cannot be combined with --explain or --surprisal")
    if pairs is not None and files:
        raise UsageError("--pairs cannot be combined with FILEs")
    if pairs is not None:
        scoring.refuse_beside("--pairs")
    if pseudo:
        pseudo_scoring.refuse(scoring, {"--explain": explain, "--pairs": pairs is not None, "--no-eos": no_eos})
        _pseudo(run, model, files, scoring, surprisal=surprisal, as_json=json, bare=bare, output=output)
        return
    names, texts = opening.sources(model or [], [pairs] if pairs is not None else files)
    opening.check_single_stdin(*names, *texts, scoring.mix_text)
    weights = mixtures.weights_of(scoring, len(names))
    if len(names) > 1 and scoring.mix is None:
        raise UsageError("several models need --mix", hint="interpolate them with --mix WEIGHTS")
    found = [opening.open_any(name) for name in names]
    if pairs is not None and is_encoder_decoder(found[0]):
        pair_scoring.refuse(scoring, {})
        given = pair_scoring.PairTexts(run, names[0], found[0], pairs, scoring, eos=not no_eos)
        with outputs.open_output(output) as out:
            if not (json or bare):
                run.terminal.notice(f"signature {given.signature}")
            if surprisal:
                _surprisals(out, given.tokenizer, (line for _, line in given.lines()), as_json=json,
                            signature=given.signature)  # fmt: skip
            else:
                pair_scoring.score(out, given, explain=explain, as_json=json, bare=bare)
        return
    if pairs is not None and (explain or surprisal):
        raise UsageError("--explain, --surprisal and minimal --pairs exclude each other")
    if bare and pairs is not None:
        raise UsageError("--bare cannot be combined with minimal --pairs")
    language_models = [opening.require_language_model(one, name) for one, name in zip(found, names, strict=True)]
    models = scoring_models.scoring_models(names, language_models, scoring)
    scoring_models.use_threads(None, names, models)
    opened: LanguageModel = models[0]
    if scoring.mix is not None:
        development = running_text.text_reader(
            scoring.encoding_errors, scoring.source, raw=opening.all_accept_any_bytes(models)
        )
        opened = mixtures.mixture_of(run, models, weights, development, scoring.mix_text)
    opening.tell_not_probabilities(run, names[0] if scoring.mix is None else "the mixture", opened)
    signature = opening.signature(opened, scoring_models.signature_parts(opened, scoring, eos=not no_eos))
    source = PLAIN if pairs is not None else scoring.source
    reader = running_text.text_reader(
        scoring.encoding_errors, source, raw=opened.tokenizer.accepts_any_bytes, eager=True
    )
    with outputs.open_output(output) as out:
        if not (json or bare):
            run.terminal.notice(f"signature {signature}")
        if pairs is not None:
            _pairs(run, out, opened, reader.lines(pairs), pairs, eos=not no_eos, as_json=json, signature=signature)
            return
        lines = _lines(run, opened, reader, texts, names[0], eos=not no_eos)
        if bare:
            for line in lines:
                out.line(repr(line.total))
        elif surprisal:
            _surprisals(out, opened.tokenizer, lines, as_json=json, signature=signature)
        else:
            _scores(out, opened if explain else None, lines, as_json=json, signature=signature)


def _pseudo(
    run: Run, model: list[str] | None, files: list[str] | None, scoring: scoring_models.ScoringOptions, *,
    surprisal: bool, as_json: bool, bare: bool, output: str | None,
) -> None:  # fmt: skip
    """Score lines under an encoder."""
    texts = pseudo_scoring.PseudoTexts(run, model, files, scoring, threads=None, eager=True)
    with outputs.open_output(output) as out:
        if not (as_json or bare):
            run.terminal.notice(f"signature {texts.signature}")
        if bare:
            for line in texts.lines():
                out.line(repr(line.total))
        elif surprisal:
            _surprisals(out, texts.tokenizer, texts.lines(), as_json=as_json, signature=texts.signature)
        else:
            _scores(out, None, texts.lines(), as_json=as_json, signature=texts.signature)


def _lines(
    run: Run, model: LanguageModel, reader: SourceReader, texts: list[str], name: str, *, eos: bool
) -> Iterator["Line"]:
    from lmkit.evaluation.perplexity import lines_of

    windows = scoring_models.ContextNotice(run, streams.display(name), model)
    for text in texts:
        for line in lines_of(model, reader.blocks(text), eos=eos):
            windows.tell(len(line.ids))
            yield line
    running_text.warn_replaced_bytes(run, reader)


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def _scores(
    out: outputs.Output, explained: LanguageModel | None, lines: Iterator["Line"], *, as_json: bool, signature: str
) -> None:
    """Print lines with their nats, or with the factors that a model explains."""
    columns = ("line", "token", "context", "order", "nats") if explained else ("line", "nats", "tokens", "text")
    table = Table(out, columns, as_json=as_json)
    for number, line in enumerate(lines, 1):
        record = {"line": number, **fields_of(explained, line, signature)}
        if explained is None or as_json:
            table.row(record)
            continue
        table.rows({"line": number, **each, "context": " ".join(each["context"])} for each in record["factors"])


def fields_of(explained: LanguageModel | None, line: "Line", signature: str) -> dict[str, Any]:
    """What the record of a scored line says: text, nats, tokens, signature, and the factors that a model explains."""
    from lmkit.evaluation.perplexity import factors_of

    fields = {"text": _text(line.text), "nats": line.total, "tokens": len(line.ids), "signature": signature}
    if explained is None:
        return fields
    return {**fields, "factors": [_factor(explained, each) for each in factors_of(explained, line)]}


def _factor(model: LanguageModel, factor: TokenScore) -> dict[str, Any]:
    piece = model.tokenizer.piece
    return {
        "token": _text(piece(factor.token)),
        "context": [_text(piece(token)) for token in factor.context],
        "order": factor.order,
        "nats": factor.nats,
    }


def _surprisals(
    out: outputs.Output, tokenizer: Tokenizer, lines: Iterator["Line"], *, as_json: bool, signature: str
) -> None:
    from lmkit.evaluation.perplexity import LN2

    table = Table(out, ("line", "token", "bits", "nats"), as_json=as_json)
    for number, line in enumerate(lines, 1):
        tokens = [
            {"token": _text(tokenizer.piece(token)), "bits": 0.0 - nats / LN2, "nats": 0.0 - nats}
            for token, nats in zip(line.ids.tolist(), line.nats.tolist(), strict=True)
        ]
        if as_json:
            table.row({"line": number, "text": _text(line.text), "surprisal": tokens, "signature": signature})
            continue
        table.rows({"line": number, **token} for token in tokens)


def _pairs(
    run: Run,
    out: outputs.Output,
    model: LanguageModel,
    lines: Iterator[bytes],
    name: str,
    *,
    eos: bool,
    as_json: bool,
    signature: str,
) -> None:
    from lmkit.evaluation.perplexity import lines_of

    table = Table(out, ("line", "winner", "margin", "nats_first", "nats_second", "text"), as_json=as_json)
    won = count = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        fields = line.split(b"\t")
        if len(fields) != 2:
            raise DataError(f"{streams.display(name)}:{number}: {len(fields)} fields, expected two separated by a tab")
        first, second = (scored.total for scored in lines_of(model, [b"\n".join(fields) + b"\n"], eos=eos))
        count += 1
        won += first > second
        table.row(
            {
                "line": number, "winner": "first" if first > second else "second" if second > first else "tie",
                "margin": 0.0 if first == second else abs(first - second), "nats_first": first, "nats_second": second,
                "text": _text(fields[0] if first >= second else fields[1]),
            }
        )  # fmt: skip
    if not count:
        raise DataError(f"{streams.display(name)}: no pairs")
    if as_json:
        table.row(run.signed({"accuracy": won / count, "pairs": count, "signature": signature}))
    else:
        out.line(("  " if out.screen else "\t").join(["accuracy", f"{won / count:.6g}", f"{won} of {count}"]))
