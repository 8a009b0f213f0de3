"""`lmkit calc attention`: scores, weights and outputs."""

from typing import Annotated, Any

import typer

from lmkit.commands.calc.exercise_check import Check, check
from lmkit.commands.calc.json_arrays import Fields, Values, answer, each
from lmkit.commands.options.standard import Json, Output, Run, choice
from lmkit.errors import DataError

MATRICES = {"scaled": (), "dot": (), "general": ("w_a",), "concat": ("w_a", "v_a")}


def attention(
    run: Run,
    values: Values = None,
    score: Annotated[
        str,
        typer.Option("--score", metavar="KIND", callback=choice(*MATRICES), help="Score function of queries and keys."),
    ] = "scaled",
    scale: Annotated[
        float | None,
        typer.Option(
            "--scale",
            metavar="S",
            show_default=False,
            help="Scale: multiply scores by S. It replaces the 1/sqrt(D) of `scaled`.",
        ),
    ] = None,
    causal: Annotated[
        bool, typer.Option("--causal", help="Causal mask: the last query sees all keys, each earlier one a key less.")
    ] = False,
    check_file: Check = None,
    json: Json = False,
    output: Output = None,
) -> None:
    """Compute attention scores, weights and outputs.

    Each input is an object of `q`, `k` and `v`, arrays of rows (a plain array is one row). Without `v`, keys are
    the values. The result has `scores`, `weights` (their softmax over keys) and `output` (weighted sums of
    values), a row per query. --score chooses the score of a query with a key:

      scaled   q k / sqrt(D)            dot      q k
      general  q w_a k                  concat   v_a tanh(w_a [q; k])

    `w_a` is a matrix and `v_a` an array of the same object. Input and output are one JSON value per line.

    --check FILE grades a Python file that defines `attention(q, k, v)`, which gets lists of rows and returns the
    `scaled` output. The file runs in its own process (5 seconds, 512 MB per case) but with all your permissions,
    so check only what you trust. The exit status is 1 if a case is wrong.

    Examples:
      lmkit calc attention '{"q": [1, 0], "k": [[1, 0], [0, 1]], "v": [[1, 2], [3, 4]]}'
      lmkit calc attention --score dot '{"q": [1, 2], "k": [[1, 0], [0, 1], [1, 1]]}'
      lmkit calc attention --check lab.py
    """
    if check_file is not None:
        check(run, "attention", check_file, values, as_json=json, output=output)
        return
    import numpy as np

    with np.errstate(all="ignore"):  # `answer` reports what is too large
        each(values, output, lambda value: _attention(value, score, scale, causal))


def _attention(value: Any, score: str, scale: float | None, causal: bool) -> dict[str, Any]:
    from lmkit.inference import attention_scores, functional

    fields = Fields(value, ("q", "k", *MATRICES[score]), ("v",))
    queries, keys = fields.rows("q"), fields.rows("k")
    held = keys if "v" not in value else fields.rows("v")
    if len(held) != len(keys):
        raise DataError(f"k has {len(keys)} rows, v {len(held)}")
    mask = functional.causal(len(queries), len(keys)) if causal else None
    if mask is not None and not mask.any(axis=1).all():
        raise DataError(f"{len(queries)} queries and only {len(keys)} keys: the first query would see no key")
    if score in ("scaled", "dot"):
        fields.rows("k", queries.shape[1])
        factor = 1.0 if scale is None and score == "dot" else scale
        outputs, weights = functional.attention(queries, keys, held, factor, mask)
        scores = attention_scores.dot(queries, keys, factor)
    else:
        scores = _learned_scores(fields, score, queries, keys, 1.0 if scale is None else scale)
        outputs, weights = attention_scores.attend(scores, held, mask)
    return answer({"scores": scores, "weights": weights, "output": outputs})


def _learned_scores(fields: Fields, score: str, queries: Any, keys: Any, scale: float) -> Any:
    """`general` and `concat` scores, sizes checked."""
    from lmkit.inference import attention_scores

    if score == "general":
        return attention_scores.general(queries, keys, fields.matrix("w_a", queries.shape[1], keys.shape[1]), scale)
    weight = fields.matrix("w_a", columns=queries.shape[1] + keys.shape[1])
    return attention_scores.concat(queries, keys, weight, fields.vector("v_a", len(weight)), scale)
