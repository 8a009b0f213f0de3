"""Prompts as ids and states, and the tokens that end what is generated."""

from lmkit.data.sequences import encode_prompt
from lmkit.errors import DataError
from lmkit.protocols import I32, LanguageModel, SequenceFormat, State, context_limit, is_conditional, supports_prefill


def ends_of(form: SequenceFormat) -> tuple[int, ...]:
    """The tokens that end what is generated, in order; none: nothing does."""
    own = form.document_end if form.multiline or form.newline_id is None else form.newline_id
    return tuple(sorted({*form.ends, *(() if own is None else (own,))}))


def never(model: LanguageModel, *, unknown: bool) -> list[int]:
    """Tokens that are not drawn: the start token, and the unknown one unless `unknown`.

    Models whose line ends are text are other makers', to whom every token may follow; others may say themselves what
    is not drawn.
    """
    if model.form.barred is not None:
        return list(model.form.barred)
    if model.form.newline_id is None:
        return []
    specials = model.tokenizer.specials
    marks = {*ends_of(model.form), model.form.newline_id}
    return [
        specials[name] for name in ("bos", *(() if unknown else ("unk",))) if specials.get(name) not in {None, *marks}
    ]


def seen(model: LanguageModel, prompt: bytes, *, window: bool = False) -> I32:
    """The ids of a prompt, or the last ones of a prompt longer than the context.

    Raises DataError for a longer one without `window`, and for several lines where a model reads single lines.
    """
    if b"\n" in prompt and not model.form.multiline:
        raise DataError("the prompt has several lines, but the model reads single lines")
    ids: I32 = encode_prompt(model.tokenizer, model.form, prompt)
    most = context_limit(model)
    if most is not None and len(ids) > most:
        if not window:
            raise DataError(
                f"prompt of {len(ids)} tokens exceeds the model's context of {most}",
                hint="use --window to keep only its last tokens",
            )
        ids = ids[-most:]
    return ids


def state_after(model: LanguageModel, ids: I32, source: I32 | None = None) -> State:
    """The state after a prompt's ids at the beginning of a text, of a target of `source` where there is one."""
    if source is not None and is_conditional(model):
        model = model.for_source(source)
    if supports_prefill(model):
        return model.after(ids)
    state = model.start()
    for token in ids.tolist():
        state = model.advance(state, token)
    return state
