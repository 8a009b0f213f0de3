"""Mixing n-gram models into one, linearly or log-linearly, with weights given or tuned. Knows no files.

Linear: p(w|h) = sum of l_i p_i(w|h) for every n-gram that any model lists; others by backoff,
weights such that all sums are one (as SRILM's -mix-lm). A word outside model i's vocabulary
has p_i = 0, so the mixture of distributions is one; in a history it ends what model i sees.
Log-linear: p(w|h) = prod p_i(w|h)^l_i / Z(h), exact in backoff form, since words that no model
lists after h share the factor prod b_i(h)^l_i; a word outside model i's vocabulary counts as
its unknown word (as KenLM's interpolate; Heafield et al. 2016).

Shapes: I models, M n-grams of the union, N tokens of a development text.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lmkit.errors import DataError
from lmkit.ngram.backoff_estimation import Table, precision
from lmkit.ngram.backoff_model import NGram
from lmkit.ngram.pruning import normalised
from lmkit.ngram.smoothing import Groups
from lmkit.ngram.tables import SHIFT, WORD, context_starts, find_keys, make_key, sorting
from lmkit.protocols import F64, I32, I64, Bool, Tokenizer
from lmkit.tokenization.vocabulary import BOS, UNK
from lmkit.tokenization.vocabulary_union import unite_tokenizers

LN10 = float(np.log(10.0))


@dataclass(frozen=True)
class _Order:
    """One order of the union: keys, suffixes, and what each model says.

    `log10` and `backoff` F64[I, M]: each model's probability and backoff weight, whether listed or not.
    """

    key: I64
    suffix: I64
    log10: F64
    backoff: F64


@dataclass(frozen=True)
class Union:
    """All n-grams of several models over one vocabulary; `absent` Bool[I, V]: words that a model lacks."""

    tokenizer: Tokenizer
    orders: list[_Order]
    absent: Bool


def unite(models: Sequence[NGram], *, unknown: bool) -> Union:
    """The n-grams of all models; `unknown`: a word that a model lacks counts as its unknown word.

    Raises CheckpointError where their tokens are not of one kind.
    """
    tokenizer, maps = unite_tokenizers([model.tokenizer for model in models])
    tables = [_renamed(model.tables, words) for model, words in zip(models, maps, strict=True)]
    absent = np.ones((len(models), tokenizer.size), dtype=np.bool_)
    for row, words in zip(absent, maps, strict=True):
        row[words] = False
    orders = [_unigrams(tables, absent, unknown=unknown)]
    for order in range(2, max(map(len, tables)) + 1):
        tables, level = _unite_order(tables, orders, order)
        orders.append(level)
    return Union(tokenizer, orders, absent)


def _renamed(tables: Sequence[Table], words: I32) -> list[Table]:
    """Tables over the union's word ids, keys sorted anew; unigrams become (ids, values)."""
    renamed = [Table(words.astype(np.int64), tables[0].log10, tables[0].backoff)]
    numbers: I64 = words.astype(np.int64)
    for table in tables[1:]:
        key = make_key(numbers[table.key >> SHIFT], words[table.key & WORD])
        ranks = sorting(key)
        backoff = table.backoff[ranks] if len(table.backoff) else table.backoff
        renamed.append(Table(key[ranks], table.log10[ranks], backoff))
        numbers = np.empty(len(ranks), dtype=np.int64)
        numbers[ranks] = np.arange(len(ranks))
    return renamed


def _unigrams(tables: Sequence[Sequence[Table]], absent: Bool, *, unknown: bool) -> _Order:
    size = absent.shape[1]
    log10, backoff = np.full(absent.shape, -np.inf), np.zeros(absent.shape)
    for row, weights, model in zip(log10, backoff, tables, strict=True):
        row[model[0].key] = model[0].log10
        if len(model[0].backoff):
            weights[model[0].key] = model[0].backoff
    if unknown:
        log10 = np.where(absent, log10[:, [UNK]], log10)
    log10[:, BOS] = -np.inf
    nothing = np.zeros(0, dtype=np.int64)
    return _Order(np.arange(size), nothing, log10, backoff)


def _unite_order(
    tables: Sequence[Sequence[Table]], orders: Sequence[_Order], order: int
) -> tuple[list[list[Table]], _Order]:
    """One more order; the models' higher tables are renumbered to its ids on the way."""
    key = np.unique(np.concatenate([model[order - 1].key for model in tables if len(model) >= order]))
    below = orders[-1]
    contexts, words = key >> SHIFT, key & WORD
    if order == 2:
        suffix = words
    else:
        suffix = find_keys(below.key, make_key(below.suffix[contexts], words))
        if (suffix < 0).any():
            raise DataError(
                "a model lists an n-gram without its ending, so it can't be mixed",
                hint="mix first and prune afterwards",
            )
    log10 = below.backoff[:, contexts] + below.log10[:, suffix]
    backoff = np.zeros(log10.shape)
    renumbered = []
    for row, weights, model in zip(log10, backoff, tables, strict=True):
        tables_left = list(model)
        if len(model) >= order:
            table = model[order - 1]
            places = np.searchsorted(key, table.key)
            row[places] = table.log10
            if len(table.backoff):
                weights[places] = table.backoff
            if len(model) > order:
                above = model[order]
                moved = make_key(places[above.key >> SHIFT], above.key & WORD)
                tables_left[order] = above._replace(key=moved)
        renumbered.append(tables_left)
    return renumbered, _Order(key, suffix, log10, backoff)


def linear(parts: Union, weights: Sequence[float]) -> list[Table]:
    """The tables of the linear mixture."""
    log_weights = np.log10(np.maximum(np.array(weights), 1e-300))[:, None]
    size = sum(len(order.key) for order in parts.orders)
    tables = []
    for number, order in enumerate(parts.orders):
        joint = order.log10 + log_weights
        highest = joint.max(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            log10 = highest + np.log10((10.0 ** (joint - highest)).sum(axis=0))
        log10 = np.where(highest == -np.inf, -np.inf, np.minimum(log10, 0))
        tables.append(_table(order, number, log10, np.zeros(log10.shape), len(parts.orders), size))
    return normalised(tables)


def _table(order: _Order, number: int, log10: F64, backoff: F64, orders: int, size: int) -> Table:
    dtype = precision(size)
    key = order.key if number else order.key[:0]
    return Table(key, log10.astype(dtype), (backoff if number < orders - 1 else backoff[:0]).astype(dtype))


def log_linear(parts: Union, weights: Sequence[float]) -> list[Table]:
    """The tables of the log-linear mixture, each context's Z(h) found from that of the context one shorter."""
    factor = np.array(weights)[:, None]
    size = sum(len(order.key) for order in parts.orders)
    score = _product(factor, parts.orders[0].log10)
    score[BOS] = -np.inf
    mass = (10.0**score).sum()
    if not mass:
        raise DataError("the models have no word in common")
    log10, backoffs = [score - np.log10(mass)], []
    before: F64 = np.full(len(score), np.log10(mass))  # log10 Z of each context's ending
    for number, order in enumerate(parts.orders[1:], 1):
        below = parts.orders[number - 1]
        product, contexts, lower = _product(factor, below.backoff), order.key >> SHIFT, score[order.suffix]
        score = _product(factor, order.log10)
        normaliser = product + before  # where nothing is listed: Z(h) = B(h) Z(h')
        if len(order.key):
            groups = Groups(context_starts(order.key), len(order.key))
            at = contexts[groups.starts]
            rest = np.maximum(10.0 ** before[at] - groups.sum(10.0**lower), 0.0)
            mass = groups.sum(10.0**score) + 10.0 ** product[at] * rest
            dead = np.isin(contexts, at[mass == 0])  # no word is possible after h: h is left out
            score[dead] = lower[dead]
            product[at[mass == 0]] = 0.0
            normaliser[at] = np.where(mass == 0, before[at], np.log10(np.where(mass == 0, 1.0, mass)))
        backoffs.append(np.where(product == -np.inf, -np.inf, product + before - normaliser))
        log10.append(score - normaliser[contexts])
        before = normaliser[order.suffix] if number + 1 < len(parts.orders) else before
    backoffs.append(np.zeros(0))
    return [
        _table(order, number, np.minimum(logs, 0), weights_, len(parts.orders), size)
        for number, (order, logs, weights_) in enumerate(zip(parts.orders, log10, backoffs, strict=True))
    ]


def _product(weights: F64, logs: F64) -> F64:
    """log10 of the product of powers, (M,); a weight of 0 leaves a model out."""
    with np.errstate(invalid="ignore"):
        product: F64 = np.where(weights == 0, 0.0, weights * logs).sum(axis=0)
    return product


def tune_linear(models: Sequence[NGram], parts: Union, ids: I32, ends: I64, rounds: int = 200) -> list[float]:
    """Weights that maximise the likelihood of a development text, by EM. Jelinek and Mercer (1980)."""
    scores = 10.0 ** np.array(
        [_scores(model, parts, row, ids, ends) for model, row in zip(models, parts.absent, strict=True)]
    )
    scores = scores[:, scores.sum(axis=0) > 0]
    if not scores.shape[1]:
        raise DataError("the development text has no token that a model gives a probability")
    weights = np.full(len(models), 1.0 / len(models))
    for _ in range(rounds):
        joint = weights[:, None] * scores
        after = (joint / joint.sum(axis=0)).mean(axis=1)
        if np.abs(after - weights).max() < 1e-7:
            break
        weights = after
    return [float(weight) for weight in weights]


def _scores(model: NGram, parts: Union, absent: Bool, ids: I32, ends: I64) -> F64:
    """log10 p of each token under one model, -inf for words that it lacks; `ids` are the union's."""
    _, (_, back) = unite_tokenizers([parts.tokenizer, model.tokenizer])
    own = np.full(parts.tokenizer.size, UNK, dtype=np.int32)
    own[back] = np.arange(len(back), dtype=np.int32)
    logs = model.score_many(own[ids], ends) / LN10
    logs[absent[ids]] = -np.inf
    return logs


def tune_log_linear(parts: Union, ids: I32, ends: I64, rounds: int = 3) -> list[float]:
    """Weights of the log-linear mixture that maximise a text's likelihood, a coordinate at a time by golden section."""
    weights = [1.0 / len(parts.orders[0].log10)] * len(parts.orders[0].log10)

    def cost(trial: Sequence[float]) -> float:
        logs = NGram(log_linear(parts, trial), parts.tokenizer, {}).score_many(ids, ends)
        return -float(logs[logs > -np.inf].sum())

    for _ in range(rounds):
        for place in range(len(weights)):
            weights[place] = _golden(lambda value: cost([*weights[:place], value, *weights[place + 1 :]]))  # noqa: B023
    return weights


def _golden(cost: Callable[[float], float], low: float = 0.0, high: float = 2.0, width: float = 5e-3) -> float:
    """Where a function with one valley is lowest."""
    ratio = (5**0.5 - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = cost(left), cost(right)
    while high - low > width:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = cost(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = cost(right)
    return (low + high) / 2
