"""What the peers of neural.py do in their own Python: nanoGPT's exact loss, transformers' training and scoring.

neural_peers.py prepare NANOGPT TEXT            writes nanoGPT's data from a text at hand
neural_peers.py loss NANOGPT OUT                whole validation split: blocks of the context, and windows by a quarter
neural_peers.py train LAYERS WIDTH HEADS T B V  seconds of a training step of transformers' GPT-2
neural_peers.py score FOLDER IDS STRIDE         transformers' recipe for perplexity: nats, tokens, seconds
"""

import json
import runpy
import sys
import time
import types
from pathlib import Path


def prepare(nanogpt: str, text: str) -> None:
    folder = Path(nanogpt, "data", "shakespeare_char")
    (folder / "input.txt").write_bytes(Path(text).read_bytes())
    sys.modules["requests"] = types.ModuleType("requests")  # the text is there, nothing is fetched
    runpy.run_path(str(folder / "prepare.py"), run_name="__main__")


def loss(nanogpt: str, out: str) -> None:
    import numpy as np
    import torch

    sys.path.insert(0, nanogpt)
    from model import GPT, GPTConfig

    saved = torch.load(Path(out, "ckpt.pt"), weights_only=False)
    model = GPT(GPTConfig(**saved["model_args"]))
    model.load_state_dict(saved["model"])
    model.eval()
    ids = torch.from_numpy(
        np.fromfile(Path(nanogpt, "data", "shakespeare_char", "val.bin"), dtype=np.uint16).astype(np.int64)
    )
    context = model.config.block_size

    @torch.inference_mode()
    def mean(stride: int) -> float:
        total = count = 0.0
        begins = list(range(0, len(ids) - 1, stride))
        for place, begin in enumerate(begins):
            end = min(begin + context, len(ids) - 1)
            logits, _ = model(ids[None, begin:end], ids[None, begin + 1 : end + 1])
            nats = torch.nn.functional.cross_entropy(logits[0], ids[begin + 1 : end + 1], reduction="none")
            first = 0 if place == 0 else context - stride
            total += float(nats[first:].sum())
            count += max(0, len(nats) - first)
            if end == len(ids) - 1:
                break
        return total / count

    print(json.dumps({"blocks": mean(context), "sliding": mean(context // 4)}))


def train(layers: int, width: int, heads: int, time_steps: int, rows: int, vocabulary: int) -> None:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(vocab_size=vocabulary, n_positions=time_steps, n_embd=width, n_layer=layers, n_head=heads)
    model = GPT2LMHeadModel(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    ids = torch.randint(0, vocabulary, (rows, time_steps))
    seconds = []
    for _ in range(40):
        begun = time.perf_counter()
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seconds.append(time.perf_counter() - begun)
    print(json.dumps({"seconds": sorted(seconds[5:])[len(seconds[5:]) // 2]}))


def score(folder: str, text: str, stride: int) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(Path(text).read_text(), return_tensors="pt").input_ids
    context = model.config.max_position_embeddings
    begun = time.perf_counter()
    total, count, before = 0.0, 0, 0
    for begin in range(0, ids.shape[1], stride):
        end = min(begin + context, ids.shape[1])
        own = ids[:, begin:end]
        targets = own.clone()
        targets[:, : -(end - before)] = -100
        with torch.no_grad():
            nats = float(model(own, labels=targets).loss)
        wanted = int((targets[:, 1:] != -100).sum())
        total, count, before = total + nats * wanted, count + wanted, end
        if end == ids.shape[1]:
            break
    print(json.dumps({"nats": total / count, "tokens": count, "seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    task, *rest = sys.argv[1:]
    if task in ("prepare", "loss"):
        {"prepare": prepare, "loss": loss}[task](*rest)
    elif task == "train":
        train(*map(int, rest))
    else:
        score(rest[0], rest[1], int(rest[2]))
