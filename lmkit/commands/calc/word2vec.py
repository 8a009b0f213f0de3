"""`lmkit calc sgns` and `w2v-softmax`: what word vectors are trained to make small."""

from typing import Any

from lmkit.commands.calc.json_arrays import Fields, Values, answer, each
from lmkit.commands.options.standard import Json, Output, Run, WordWindow
from lmkit.errors import DataError


def sgns(run: Run, values: Values = None, json: Json = False, output: Output = None) -> None:
    """Compute the skip-gram negative-sampling loss and its gradients.

    The loss is -log s(u_o v_c) - sum_k log s(-u_k v_c), with s the logistic function. Each input is an object of
    `v_c` (vector of the centre word), `u_o` (vector of a context word) and `negatives` (rows, the vectors of
    negative samples). The result has the loss in `nats`, and `gradients` by the same names. Both terms use the
    centre word's v, as in the paper; some lecture slides use another word's v in the second term. Input and
    output are one JSON value per line.

    Examples:
      lmkit calc sgns '{"v_c": [1, 0], "u_o": [2, 0], "negatives": [[1, 1], [-1, 0]]}'
      echo '{"v_c": [1], "u_o": [0], "negatives": [[0]]}' | lmkit calc sgns
    """
    import numpy as np

    with np.errstate(all="ignore"):  # `answer` reports what is too large
        each(values, output, _sgns)


def _sgns(value: Any) -> dict[str, Any]:
    from lmkit.word_vectors.exact_losses import negative_sampling

    fields = Fields(value, ("v_c", "u_o", "negatives"))
    centre = fields.vector("v_c")
    loss = negative_sampling(centre, fields.vector("u_o", len(centre)), fields.rows("negatives", len(centre)))
    gradients = answer({"v_c": loss.centre, "u_o": loss.context, "negatives": loss.negatives})
    return {"nats": _finite(loss.nats), "gradients": gradients}


def w2v_softmax(
    run: Run,
    values: Values = None,
    window: WordWindow = 2,
    json: Json = False,
    output: Output = None,
) -> None:
    """Compute word2vec's softmax probabilities, loss and gradients.

    P(a|b) = exp(u_a v_b) / sum_w exp(u_w v_b). Each input is an object of `v`, the centre vectors, and `u`, the
    context vectors of all words, as arrays of rows (a plain array is one row). The result has `probabilities`, a
    row per centre.

    With `text`, an array of word ids from 0, the result also has the loss J = -1/T log L in `nats`, where L is
    the product of P(w_t+j | w_t) over all T words and their neighbours in the --window, and `gradients` of J with
    respect to `v` and `u`. Input and output are one JSON value per line.

    Examples:
      lmkit calc w2v-softmax '{"v": [1, 0], "u": [[1, 0], [0, 1], [1, 1]]}'
      lmkit calc w2v-softmax --window 1 '{"v": [[1], [0]], "u": [[0], [1]], "text": [0, 1, 1]}'
    """
    import numpy as np

    with np.errstate(all="ignore"):
        each(values, output, lambda value: _softmax(value, window))


def _softmax(value: Any, window: int) -> dict[str, Any]:
    import numpy as np

    from lmkit.word_vectors import exact_losses

    fields = Fields(value, ("v", "u"), ("text",))
    centres = fields.rows("v")
    contexts = fields.rows("u", centres.shape[1])
    found = answer({"probabilities": np.exp(exact_losses.log_probabilities(centres, contexts))})
    ids = fields.vector("text")
    if ids is None:
        return found
    if len(centres) != len(contexts):
        raise DataError(f"v has {len(centres)} rows, u {len(contexts)}: a text needs both vectors of each word")
    if not (np.isin(ids, np.arange(len(centres)))).all():
        raise DataError(f"text: words are whole numbers from 0 to {len(centres) - 1}")
    loss = exact_losses.softmax_loss(centres, contexts, ids.astype(np.int64), window)
    gradients = answer({"v": loss.centres, "u": loss.contexts})
    return {**found, "nats": _finite(loss.nats), "gradients": gradients}


def _finite(nats: float) -> float:
    import numpy as np

    return float(answer({"nats": np.array(nats)})["nats"])
