"""Masked language modelling: lmkit beside transformers' loop of run_mlm, at equal CPU time and equal size.

    python benchmarks/encoders_train.py --tokens wp.lm TRAIN.txt VALID.txt --seconds 600 --rounds 3 --threads 2

Both train a model of the same layers and width on blocks of the same length, each in a process of its own, until it has
taken so many CPU seconds (user + system, all threads; reading and encoding not counted). Both are scored on the same
blocks of VALID under one mask of 15 %. The peer is BertForMaskedLM with its published post-norm shape, AdamW, a linear
schedule, full blocks, and logits at all places, as run_mlm.py has it; its learning rate is `--peer-lr`. Contestants run
in turn; the table has medians of `--rounds`.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np

LAYERS, WIDTH, HEADS, CONTEXT, BATCH = 4, 256, 4, 128, 16


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("train")
    parser.add_argument("valid")
    parser.add_argument("--tokens", required=True)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peer-lr", type=float, default=1e-3)
    parser.add_argument("--only", choices=("lmkit", "transformers"))
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--mask-rate", type=float, default=0.15)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--matrix-lr", type=float, default=0.02)
    return parser.parse_args()


def prepare(options):
    """Both texts encoded, what is masked how, and the batches to validate on."""
    import torch

    from lmkit.commands.loading.models import open_tokenizer
    from lmkit.data.encoder_corpus import encode
    from lmkit.data.encoder_sequences import EncoderFormat
    from lmkit.data.masking import Masking
    from lmkit.training.encoder_batches import validation_batches

    torch.set_num_threads(options.threads)
    tokenizer = open_tokenizer(options.tokens)
    form = EncoderFormat.of(tokenizer)
    corpora = []
    for name in (options.train, options.valid):
        with open(name, "rb") as file:
            corpora.append(encode(tokenizer, [iter(lambda file=file: b"".join(file.readlines(1 << 20)), b"")])[0])
    masking = Masking.of(tokenizer, form, 0.15, whole_words=False)
    validation = validation_batches(corpora[1], "stream", form, masking, CONTEXT, pairs=False)
    return tokenizer, form, corpora[0], masking, validation


def report(name, parameters, tokens, steps, seconds, nats):
    """One line of JSON for the parent process."""
    print(json.dumps({
        "name": name, "parameters": parameters, "steps": steps, "cpu_seconds": round(seconds, 1),
        "tokens_per_cpu_second": round(tokens / seconds), "nats": round(nats, 4),
    }))  # fmt: skip


def lmkit(options):
    """lmkit's trainer, its clock that of the processors."""
    from dataclasses import replace

    from lmkit.architectures import presets
    from lmkit.nn import factory
    from lmkit.training import trainer
    from lmkit.training.encoder_batches import MaskedBatches, StreamExamples
    from lmkit.training.objectives.masked_lm import MaskedLanguageModelling
    from lmkit.training.optimizers import LearningRates
    from lmkit.training.plan import Plan
    from lmkit.training.validation import BatchValidation

    tokenizer, form, corpus, masking, validation = prepare(options)
    trainer.time = SimpleNamespace(perf_counter=time.process_time)
    gated = options.preset in ("fast", "modernbert-base")
    settings = presets.encoder(
        options.preset, vocabulary=tokenizer.size, layers=LAYERS, width=WIDTH, heads=HEADS, context=CONTEXT,
        hidden=688 if gated else 4 * WIDTH, task="mlm", pooler=False,
    )  # fmt: skip
    masking = replace(masking, rate=options.mask_rate)
    batches = MaskedBatches(StreamExamples(corpus, form, BATCH, CONTEXT, 0), masking, 0)
    objective = MaskedLanguageModelling()
    plan = Plan(seconds=options.seconds, rates=LearningRates(options.lr, options.matrix_lr))
    run = trainer.Trainer(factory.initialised(settings, seed=0), objective, batches, plan)
    for _ in run.run():
        pass
    nats = BatchValidation(objective, validation)(run.network.eval())["nats"]
    report(f"lmkit, {options.preset}", settings.parameters, run.tokens, run.step, run.seconds, nats)


def transformers(options):
    """The loop of run_mlm.py: grouped blocks, masked by its collator's rule, the library's loss over all places."""
    import torch
    from transformers import BertConfig, BertForMaskedLM

    tokenizer, form, corpus, masking, validation = prepare(options)
    torch.manual_seed(0)
    model = BertForMaskedLM(BertConfig(
        vocab_size=tokenizer.size, hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH, max_position_embeddings=CONTEXT, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    ))  # fmt: skip
    body = CONTEXT - form.around
    blocks = corpus.ids[: len(corpus.ids) // body * body].reshape(-1, body).astype(np.int64)
    around = [np.full((len(blocks), 1), token) for token in (form.cls, form.sep)]
    blocks = np.concatenate((around[0], blocks, around[1]), axis=1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.peer_lr, weight_decay=0.01)
    generator = np.random.default_rng(0)
    order = generator.permutation(len(blocks))
    begun, spent, step = time.process_time(), 0.0, 0
    while spent < options.seconds:
        rows = blocks[order[np.arange(step * BATCH, (step + 1) * BATCH) % len(order)]]
        masked = [masking.apply(row, generator) for row in rows]
        inputs, labels = (torch.from_numpy(np.stack(part).astype(np.int64)) for part in zip(*masked, strict=True))
        for group in optimizer.param_groups:
            group["lr"] = options.peer_lr * min(1.0, (step + 1) / 10) * (1 - spent / options.seconds)
        loss = model(input_ids=inputs, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        spent = time.process_time() - begun
    parameters = sum(parameter.numel() for parameter in model.parameters())
    report("transformers, BertForMaskedLM", parameters, step * BATCH * CONTEXT, step, spent, score(model, validation))


def score(model, validation):
    """Nats of the masked tokens of the batches; sequences of other lengths run apart."""
    import torch

    nats, weight = 0.0, 0
    with torch.no_grad():
        for batch in validation:
            arrays = batch.arrays
            for length in np.unique(arrays["lengths"]).tolist():
                rows = arrays["lengths"] == length
                inputs, labels = (
                    torch.from_numpy(arrays[name][rows, :length].astype(np.int64)) for name in ("inputs", "labels")
                )
                logits = model.eval()(input_ids=inputs).logits
                found = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
                nats, weight = nats + found.item(), weight + int((labels >= 0).sum())
    return nats / weight if weight else math.nan


def main():
    options = arguments()
    if options.only:
        return {"lmkit": lmkit, "transformers": transformers}[options.only](options)
    found = {name: [] for name in ("lmkit", "transformers")}
    for _ in range(options.rounds):
        for name, runs in found.items():
            command = [sys.executable, __file__, *sys.argv[1:], "--only", name]
            done = subprocess.run(command, capture_output=True, check=True)
            runs.append(json.loads(done.stdout.splitlines()[-1]))
    print(
        "| | parameters | steps | CPU s | tokens a CPU s | nats, 15 % masked |\n| --- | --- | --- | --- | --- | --- |"
    )
    for runs in found.values():
        name, *numbers = (list(values) for values in zip(*(run.values() for run in runs), strict=True))
        print("| " + " | ".join([name[0], *(f"{statistics.median(values):,}" for values in numbers)]) + " |")
    return None


if __name__ == "__main__":
    main()
