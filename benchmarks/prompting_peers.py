"""What prompting.py runs, each in a process of its own.

prompting_peers.py make TOKENIZER FILE                          a transformer with random weights over a tokenizer
prompting_peers.py harness FOLDER PROMPTS BATCH LABEL LABEL     lm-evaluation-harness: one JSON object
"""

import json
import sys
import time

SHAPE = {
    "layers": 4, "width": 256, "heads": 8, "kv_heads": 8, "head_width": 32, "hidden": 1024, "context": 1024,
    "positions": "learned", "normalisation": "layernorm", "norm_epsilon": 1e-5, "activation": "gelu",
    "bias": "all", "tied": True,
}  # fmt: skip


def make(file: str, output: str) -> None:
    import numpy as np

    from lmkit.architectures.neural_model import LoadedModel
    from lmkit.architectures.transformer import TransformerConfig
    from lmkit.checkpoint import serialize
    from lmkit.commands.loading.models import open_tokenizer
    from lmkit.data.sequences import TextFormat

    tokenizer = open_tokenizer(file)
    settings = TransformerConfig(vocabulary=tokenizer.size, **SHAPE)
    rng = np.random.default_rng(0)
    tensors = {}
    for name, shape in settings.shapes().items():
        tensors[name] = rng.standard_normal(shape, dtype=np.float32) * np.float32(0.05)
        if "norm" in name and name.endswith("weight"):
            tensors[name] += 1
    form = TextFormat("stream", tokenizer.specials["bos"], None, None)  # as exported folders begin texts
    with open(output, "wb") as out:
        for part in serialize(LoadedModel(settings, form, tokenizer, tensors).to_checkpoint({"command": "benchmark"})):
            out.write(part)


def harness(folder: str, prompts: str, batch: str, *labels: str) -> None:
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    model = HFLM(
        pretrained=folder, device="cpu", dtype="float32", add_bos_token=True,
        batch_size=int(batch) if batch.isdecimal() else batch,
    )  # fmt: skip
    with open(prompts, encoding="utf-8") as lines:
        texts = [json.loads(line)["prompt"] for line in lines]
    requests = [
        Instance(request_type="loglikelihood", doc={}, arguments=(text, f" {label}"), idx=number)
        for text in texts
        for number, label in enumerate(labels)
    ]
    wall, cpu = time.perf_counter(), time.process_time()
    found = [nats for nats, _ in model.loglikelihood(requests, disable_tqdm=True)]
    seconds = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    nats = [found[begin : begin + len(labels)] for begin in range(0, len(found), len(labels))]
    choices = [labels[max(range(len(labels)), key=some.__getitem__)] for some in nats]
    print(json.dumps({**seconds, "choices": choices, "nats": nats}))


if __name__ == "__main__":
    task, *words = sys.argv[1:]
    {"make": make, "harness": harness}[task](*words)
