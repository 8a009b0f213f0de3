"""Speculative decoding as options ask for it: the drafts that propose tokens, and how many were kept."""

from functools import partial

from lmkit.commands.loading import models as opening
from lmkit.commands.options.generation import SpeculativeOptions
from lmkit.commands.options.standard import Run
from lmkit.generation import draft_models
from lmkit.generation.engine import Generator, TextGenerator
from lmkit.generation.sampler import Sampler
from lmkit.generation.speculative_decoding import MOST, Speculation
from lmkit.protocols import LanguageModel


def stepper(options: SpeculativeOptions, model: LanguageModel, sampler: Sampler) -> Speculation:
    """What generates with a draft, a lookup or both. Raises CheckpointError for a draft of other tokens."""
    begins: list[draft_models.DraftFactory] = []
    if options.lookup is not None:
        begins.append(partial(draft_models.Lookup, longest=options.lookup))
    if options.draft is not None:
        draft = opening.open_language_model(options.draft)
        with opening.error_context(options.draft):
            draft_models.check_same_tokens(model.tokenizer, draft.tokenizer)
        begins.append(partial(draft_models.ModelDraft, draft, sampler, model.form.newline_id))
    return Speculation(model, sampler, begins, most=options.draft_tokens or MOST)


def report(run: Run, generator: TextGenerator) -> None:
    """Reports with -v how many drafted tokens were accepted."""
    assert isinstance(generator, Generator)
    assert isinstance(generator.stepper, Speculation)
    tally = generator.stepper.tally
    share = f", {tally.accepted / tally.proposed:.1%}" if tally.proposed else ""
    run.terminal.detail(
        f"{tally.proposed} tokens drafted, {tally.accepted} accepted{share}, in {tally.passes} passes; "
        f"{tally.alone} recomputed alone"
    )
