"""`lmkit data noise`: examples of denoising, BART's pre-training."""

from lmkit.commands.data import corrupted_text
from lmkit.commands.data.corrupted_text import As, TextTokens
from lmkit.commands.loading import models as opening
from lmkit.commands.options.data import Epoch
from lmkit.commands.options.denoising import CorruptionRate, MeanLength, NoiseKinds, noise_kinds
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import Json, Output, Run, Seed, Tokens
from lmkit.commands.options.text_input import TextFiles
from lmkit.commands.records.corpora import CorpusInput
from lmkit.io import outputs
from lmkit.io.records import to_json


@with_groups()
def noise(
    run: Run,
    files: TextFiles = None,
    *,
    stored: CorpusInput,
    kind: NoiseKinds = "infill",
    tokens: Tokens = "word",
    rate: CorruptionRate = 0.3,
    mean_length: MeanLength = 3.0,
    epoch: Epoch = 0,
    seed: Seed = 0,
    form: As = "text",
    json: Json = False,
    output: Output = None,
) -> None:
    """Add noise to a text: the training examples of BART.

    Each line, or the text of each record, is an example: `input`, the text with noise, and `target`, the text. Kinds
    are those of Lewis et al. (2020): `mask` replaces tokens by the mask token, `delete` leaves them out, `infill`
    replaces spans, whose lengths are drawn from a Poisson distribution, by one mask token each; these change the share
    --rate of the tokens. `permute` shuffles sentences, `rotate` begins the text at another token. The noise of a text
    depends on the seed, the epoch and its number only.

    Examples:
      lmkit data noise --kind infill train.txt > noise.jsonl
      lmkit data noise --kind permute,infill --input jsonl articles.jsonl -o noise.jsonl
      lmkit data noise --kind delete --rate 0.15 --seed 1 train.txt
    """
    kinds = noise_kinds(kind)
    corrupted_text.expect_single_stdin(tokens, files)
    own = TextTokens.of(tokens, form)
    import numpy as np

    from lmkit.data.denoising import Denoising, ending, noised, rendered
    from lmkit.data.encoder_sequences import ROLES, EncoderFormat

    mask = ROLES["mask"][1].decode()
    if own.tokenizer is not None and (named := EncoderFormat.of(own.tokenizer).mask) is not None:
        mask = own.tokenizer.written(named).decode()
    denoising = None
    if form == "ids":
        with opening.error_context(tokens):
            denoising = Denoising.of(own.tokenizer, kinds, rate, mean_length)
    with outputs.open_output(output) as out:
        for example in corrupted_text.examples(run, stored, files, seed, epoch):
            if denoising is not None:
                made = denoising.apply(own.ids(example.text), example.generator)
                out.line(to_json(corrupted_text.record_of_ids(made)))
                continue
            text, places = example.text, own.places(example)
            ends = [ending(text[start:end].encode()) for start, end in zip(*places, strict=True)]
            found = noised(kinds, np.array(ends, dtype=np.int8), example.generator, rate, mean_length).tolist()
            out.line(to_json(corrupted_text.record(rendered(text, *places, found, mask), text, example.fields)))
