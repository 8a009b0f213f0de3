"""Peers of translation.py, one a process: JoeyNMT's own training loop, and a MarianMT trained by a plain loop.

    python benchmarks/translation_peers.py joeynmt|marian WORK --seconds 360 [--no-decode] [--lr 0.0015]

WORK is what translation.py prepares. Prints one JSON line; texts go to WORK/NAME.greedy and WORK/NAME.beam. `joeynmt`
runs TrainManager.train_and_validate with its recipe for small corpora (pre-norm, label smoothing, 1/sqrt after warm-up)
at two layers of 128. `marian` is transformers' MarianMTModel at the same size with what run_translation.py does: random
batches padded to their longest, AdamW, linear decay, here to the end of the CPU time that is given.
"""

import argparse
import contextlib
import json
import sys
import time
import types
from pathlib import Path

LAYERS, WIDTH, HEADS, HIDDEN, VOCABULARY = 2, 128, 4, 512, 4000
BATCH_TOKENS, BATCH, MOST = 2000, 128, 80


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("peer", choices=("joeynmt", "marian"))
    parser.add_argument("work", type=Path)
    parser.add_argument("--seconds", type=float, default=360.0)
    parser.add_argument("--no-decode", action="store_true")
    parser.add_argument("--lr", type=float)
    return parser.parse_args()


def joeynmt(options):
    """Pairs, CPU seconds, and the texts of both searches, as functions."""
    stub = types.ModuleType("torch.utils.tensorboard")  # it writes a log for a program that need not be there
    stub.SummaryWriter = type(
        "SummaryWriter", (), {name: lambda *_, **__: None for name in ("__init__", "add_scalar", "close")}
    )
    sys.modules["torch.utils.tensorboard"] = stub
    from joeynmt.config import parse_global_args, set_validation_args
    from joeynmt.prediction import predict, prepare
    from joeynmt.training import TrainManager

    work = options.work.resolve()
    stack = {
        "type": "transformer", "num_layers": LAYERS, "num_heads": HEADS, "hidden_size": WIDTH, "ff_size": HIDDEN,
        "dropout": 0.1, "layer_norm": "pre", "embeddings": {"embedding_dim": WIDTH, "scale": True, "dropout": 0.0},
    }  # fmt: skip
    side = {"level": "word", "voc_limit": VOCABULARY, "voc_min_freq": 1, "lowercase": False, "max_length": 256}
    config = {
        "name": "peer", "joeynmt_version": "2.3.0", "model_dir": str(work / "joeynmt"), "use_cuda": False, "seed": 1,
        "fp16": False,
        "data": {
            "train": str(work / "train.pieces"), "dev": str(work / "test.pieces"), "test": str(work / "test.pieces"),
            "dataset_type": "plain", "src": {"lang": "source", **side}, "trg": {"lang": "target", **side},
            "special_symbols": {},
        },
        "training": {
            "optimizer": "adamw", "adam_betas": [0.9, 0.98], "learning_rate": options.lr or 1.5e-3,
            "learning_rate_warmup": 300, "scheduling": "warmupinversesquareroot", "learning_rate_min": 1e-8,
            "loss": "crossentropy", "label_smoothing": 0.1, "normalization": "tokens", "batch_type": "token",
            "batch_size": BATCH_TOKENS, "epochs": 1000, "validation_freq": 10**9, "logging_freq": 100,
            "clip_grad_norm": 1.0, "shuffle": True, "early_stopping_metric": "loss", "keep_best_ckpts": 1,
        },
        "testing": {"batch_type": "sentence", "batch_size": 64, "max_output_length": MOST, "eval_metrics": []},
        "model": {
            "initializer": "xavier_uniform", "embed_initializer": "xavier_uniform", "tied_embeddings": False,
            "tied_softmax": True, "encoder": stack, "decoder": stack,
        },
    }  # fmt: skip
    (work / "joeynmt").mkdir(exist_ok=True)
    settings = parse_global_args(config, rank=0, mode="train")
    model, train_data, _, test_data = prepare(settings, rank=0, mode="train")
    seen = {"pairs": 0, "begun": 0.0}

    class Manager(TrainManager):
        """Counts pairs, and ends when the CPU time is over."""

        def _train_step(self, batch):
            seen["begun"] = seen["begun"] or time.process_time()
            if time.process_time() - seen["begun"] > options.seconds:
                raise KeyboardInterrupt
            seen["pairs"] += int(batch.nseqs)
            return super()._train_step(batch)

        def _save_checkpoint(self, *_):
            pass

    manager = Manager(
        model=model, model_dir=settings.model_dir, device=settings.device, n_gpu=0, rank=0, num_workers=0,
        autocast=settings.autocast, seed=1, train_args=settings.train, dev_args=set_validation_args(settings.test),
    )  # fmt: skip
    with contextlib.suppress(KeyboardInterrupt):
        manager.train_and_validate(train_data=train_data, valid_data=test_data)
    seconds = time.process_time() - seen["begun"]

    def search(beams):
        model.eval()
        given = settings.test._replace(beam_size=beams, beam_alpha=1.0 if beams > 1 else -1, n_best=1)
        found = predict(model, data=test_data, device=settings.device, n_gpu=0, args=given, autocast=settings.autocast)
        return [text.split() for text in found[2]]

    return seen["pairs"], seconds, search


def marian(options):
    """See `joeynmt`; texts are ids."""
    import numpy as np
    import torch
    from transformers import MarianConfig, MarianMTModel

    pad, end, size = VOCABULARY, VOCABULARY + 1, VOCABULARY + 2
    config = MarianConfig(
        vocab_size=size, decoder_vocab_size=size, share_encoder_decoder_embeddings=False, d_model=WIDTH,
        encoder_layers=LAYERS, decoder_layers=LAYERS, encoder_attention_heads=HEADS, decoder_attention_heads=HEADS,
        encoder_ffn_dim=HIDDEN, decoder_ffn_dim=HIDDEN, pad_token_id=pad, eos_token_id=end, decoder_start_token_id=pad,
        bos_token_id=None, forced_eos_token_id=None, max_position_embeddings=512, scale_embedding=True,
        dropout=0.0, attention_dropout=0.0,
    )  # fmt: skip
    torch.manual_seed(1)
    model = MarianMTModel(config)

    def read(name):
        lines = (options.work / name).read_text().splitlines()
        return [[*map(int, line.split()), end] for line in lines]

    def padded(rows, value):
        out = np.full((len(rows), max(map(len, rows))), value, dtype=np.int64)
        for place, row in enumerate(rows):
            out[place, : len(row)] = row
        return torch.from_numpy(out)

    sources, targets, test = read("train.ids.source"), read("train.ids.target"), read("test.ids.source")
    peak, generator = options.lr or 1e-3, np.random.default_rng(1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak)
    model(input_ids=torch.tensor([[end]]), labels=torch.tensor([[end]])).loss.backward()  # imports are not timed
    optimizer.step()
    optimizer.state.clear()
    torch.manual_seed(1)
    model = MarianMTModel(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak)
    begun, pairs, order = time.process_time(), 0, []
    model.train()
    while (spent := time.process_time() - begun) < options.seconds:
        if len(order) < BATCH:
            order = generator.permutation(len(sources)).tolist()
        chosen, order = order[:BATCH], order[BATCH:]
        share = spent / options.seconds
        for group in optimizer.param_groups:
            group["lr"] = peak * min(share / 0.02 + 0.05, 1 - share)
        ids = padded([sources[place] for place in chosen], pad)
        labels = padded([targets[place] for place in chosen], -100)
        model(input_ids=ids, attention_mask=(ids != pad).long(), labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        pairs += len(chosen)
    seconds = time.process_time() - begun

    def search(beams):
        model.eval()
        order = sorted(range(len(test)), key=lambda place: len(test[place]))
        found = [[] for _ in test]
        for at in range(0, len(order), 64):
            chosen = order[at : at + 64]
            ids = padded([test[place] for place in chosen], pad)
            with torch.inference_mode():
                made = model.generate(
                    input_ids=ids, attention_mask=(ids != pad).long(), num_beams=beams, max_new_tokens=MOST,
                    do_sample=False, early_stopping=beams > 1,
                )  # fmt: skip
            for place, row in zip(chosen, made.tolist(), strict=True):
                found[place] = [token for token in row if token < VOCABULARY]
        return found

    return pairs, seconds, search


def main():
    options = arguments()
    pairs, seconds, search = (joeynmt if options.peer == "joeynmt" else marian)(options)
    result = {"pairs": pairs, "seconds": seconds}
    for name, beams in () if options.no_decode else (("greedy", 1), ("beam", 5)):
        begun = time.process_time()
        texts = search(beams)
        result[f"{name} seconds"] = time.process_time() - begun
        lines = "".join(" ".join(map(str, text)) + "\n" for text in texts)
        (options.work / f"{options.peer}.{name}.tokens").write_text(lines)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
