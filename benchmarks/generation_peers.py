"""What generation.py runs, each in a process that prints one JSON object: our models, and peers with the same weights.

generation_peers.py make FILE KIND LAYERS WIDTH HEADS CONTEXT VOCABULARY   a model with random weights
generation_peers.py own FILE BATCH TOKENS                                  lmkit, as `lmkit sample --top-k 40` does it
generation_peers.py memory                                                 bytes a second that a matrix is read with
generation_peers.py transformers FOLDER BATCH TOKENS                       `generate` with top-k 40
generation_peers.py nanogpt FOLDER BATCH TOKENS NANOGPT                    its `generate` with top-k 40
generation_peers.py lstm LAYERS WIDTH VOCABULARY BATCH TOKENS              torch.nn.LSTM, a step at a time, top-k 40
"""

import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial

TOP = 40


def timed(run: Callable[[], object]) -> dict[str, float]:
    """Seconds of wall and CPU of the second of two runs."""
    run()
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def make(file: str, kind: str, layers: int, width: int, heads: int, context: int, vocabulary: int) -> dict[str, float]:
    import numpy as np

    from lmkit.architectures.families import FAMILIES, imported
    from lmkit.architectures.neural_model import LoadedModel
    from lmkit.checkpoint import serialize
    from lmkit.data.sequences import TextFormat
    from lmkit.tokenization.tokenizers import CharTokenizer
    from lmkit.tokenization.vocabulary import Vocabulary

    letters = [letter for letter in map(chr, range(0x100, 0x20000)) if letter.isprintable()][: vocabulary - 3]
    tokenizer = CharTokenizer(Vocabulary.of([b"<unk>", b"<s>", b"</s>", *(letter.encode() for letter in letters)]))
    own: dict[str, object] = {"layers": layers, "width": width}
    if kind == "transformer":  # in GPT-2's shape
        own |= {
            "heads": heads, "kv_heads": heads, "head_width": width // heads, "hidden": 4 * width, "context": context,
            "positions": "learned", "normalisation": "layernorm", "norm_epsilon": 1e-5, "activation": "gelu",
            "bias": "all", "tied": True,
        }  # fmt: skip
    settings = imported(FAMILIES[kind].config)(vocabulary=tokenizer.size, **own)
    rng = np.random.default_rng(0)
    tensors = {}
    for name, shape in settings.shapes().items():
        tensors[name] = rng.standard_normal(shape, dtype=np.float32) * np.float32(
            0.02 if kind == "transformer" else 0.2
        )
        if "norm" in name and name.endswith("weight"):
            tensors[name] += 1
    weights = LoadedModel(settings, TextFormat.of("stream", tokenizer), tokenizer, tensors)
    with open(file, "wb") as out:
        for part in serialize(weights.to_checkpoint({"command": "benchmark"})):
            out.write(part)
    return {"bytes": float(sum(tensor.nbytes for tensor in tensors.values()))}


def own(file: str, batch: int, tokens: int) -> dict[str, float]:
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as the command has it
    import numpy as np

    from lmkit.commands.loading.models import open_language_model, processes, use_threads

    use_threads(None, file)
    count = processes(None, file)
    from lmkit.data.keyed_random import stream_of
    from lmkit.generation import prompt_encoding, workers
    from lmkit.generation.engine import Generator, Request
    from lmkit.generation.filters import Filtering
    from lmkit.generation.sampler import Sampler
    from lmkit.generation.steppers import BatchedStepper, SequentialStepper

    model = open_language_model(file)
    never = {*prompt_encoding.never(model, unknown=False), *prompt_encoding.ends_of(model.form)}
    chooser = Sampler(Filtering(top_k=TOP).chain(), never=sorted(never))
    start, none = model.start(), np.zeros(0, dtype=np.int32)
    requests = [Request(stream_of(0, "0", row), none, model.start) for row in range(batch)]

    def texts() -> None:
        if workers.pay(count, batch):
            stepper = workers.Workers(model, partial(BatchedStepper, model, chooser), most=tokens, count=count)
        else:
            stepper = BatchedStepper(model, chooser) if batch > 1 else SequentialStepper(model, chooser)
        for _ in Generator(model, stepper, most=tokens, batch=batch, growing=False).run(requests):
            pass

    def steps() -> None:
        rows, state = model.rows([start] * batch), start
        for step in range(tokens):
            token = 3 + step % 20
            if batch > 1:
                rows.next()
                rows.advance([token] * batch)
            else:
                model.next(state)
                state = model.advance(state, token)

    if workers.pay(count, batch):  # what choosing takes is told of one process alone
        return timed(texts)
    return {**timed(texts), **{f"model_{name}": seconds for name, seconds in timed(steps).items()}}


def memory() -> dict[str, float]:
    os.environ["OPENBLAS_NUM_THREADS"] = str(len(os.sched_getaffinity(0)))
    import numpy as np

    matrix, vector = np.ones((1 << 17, 768), dtype=np.float32), np.ones(768, dtype=np.float32)
    seconds = []
    for _ in range(15):
        begun = time.perf_counter()
        matrix.dot(vector)
        seconds.append(time.perf_counter() - begun)
    return {"bytes": matrix.nbytes / sorted(seconds)[len(seconds) // 2]}


def transformers(folder: str, batch: int, tokens: int) -> dict[str, float]:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    ids = torch.full((batch, 1), 5)
    more = {"max_new_tokens": tokens, "min_new_tokens": tokens, "do_sample": True, "top_k": TOP, "pad_token_id": 0}
    return timed(lambda: model.generate(ids, attention_mask=torch.ones_like(ids), **more))


def nanogpt(folder: str, batch: int, tokens: int, source: str) -> dict[str, float]:
    import torch
    from transformers import AutoModelForCausalLM

    sys.path.insert(0, source)
    from model import GPT, GPTConfig

    other = AutoModelForCausalLM.from_pretrained(folder)
    shape = other.config
    model = GPT(GPTConfig(shape.n_positions, shape.vocab_size, shape.n_layer, shape.n_head, shape.n_embd, 0.0, True))
    turned = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
    saved = other.state_dict()
    model.load_state_dict(
        {
            name: saved[name].t() if name.endswith(turned) else saved[name]
            for name in model.state_dict()
            if name in saved
        },
        strict=False,
    )
    ids = torch.full((batch, 1), 5)
    return timed(lambda: model.eval().generate(ids, tokens, top_k=TOP))


def lstm(layers: int, width: int, vocabulary: int, batch: int, tokens: int) -> dict[str, float]:
    import torch

    torch.set_num_threads(1)  # faster here than two
    embedding, head = torch.nn.Embedding(vocabulary, width), torch.nn.Linear(width, vocabulary)
    network = torch.nn.LSTM(width, width, layers, batch_first=True)

    @torch.inference_mode()
    def run() -> None:
        ids, memory = torch.full((batch, 1), 5), None
        for _ in range(tokens):
            outputs, memory = network(embedding(ids), memory)
            values, places = torch.topk(head(outputs[:, -1]), TOP)
            ids = places.gather(1, torch.multinomial(torch.softmax(values, -1), 1))

    return timed(run)


if __name__ == "__main__":
    function = {
        "make": make, "own": own, "memory": memory, "transformers": transformers, "nanogpt": nanogpt, "lstm": lstm,
    }[sys.argv[1]]  # fmt: skip
    found = function(*(int(word) if word.isdecimal() else word for word in sys.argv[2:]))  # type: ignore[operator]
    print(json.dumps(found))
