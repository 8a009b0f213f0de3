"""Small random models as transformers saves them, each with a tokenizer of its own and a way to begin and end texts."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SPECIALS = ("<unk>", "<|begin|>", "<|end|>", "<|turn|>")
PROMPTS = ("a", "the cat sat", "héllo wörld\n\n 12", "")
_LLAMA = {
    "hidden_size": 48, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64,
}  # fmt: skip
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaForCausalLM", _LLAMA),
    "smollm": ("LlamaForCausalLM", {**_LLAMA, "tie_word_embeddings": True, "rope_theta": 100000.0}),
    "qwen2": ("Qwen2ForCausalLM", _LLAMA),
    "gpt2": ("GPT2LMHeadModel", {"n_embd": 48, "n_layer": 2, "n_head": 4, "n_positions": 64}),
}
TEMPLATE = "{{ bos_token }}{% for m in messages %}<|turn|>{{ m.role }}\n{{ m.content }}<|end|>\n{% endfor %}"


def tokenizer(chance: random.Random, *, begins: bool) -> Any:
    """Byte-level merges learned from random text; texts begin with a token of its post-processor if `begins`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    words = ["".join(chance.choices("abcdehlostw", k=chance.randint(1, 6))) for _ in range(60)]
    trainer = trainers.BpeTrainer(
        vocab_size=300 + chance.randint(0, 40), special_tokens=list(SPECIALS), show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    made.train_from_iterator([" ".join(chance.choices(words, k=30)) for _ in range(30)], trainer)
    if begins:
        made.post_processor = processors.TemplateProcessing(
            single="<|begin|> $A", pair="<|begin|> $A $B", special_tokens=[("<|begin|>", 1)]
        )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="<unk>", bos_token="<|begin|>", eos_token="<|end|>", chat_template=TEMPLATE
    )


def saved(path: Path, seed: int) -> tuple[Any, Any]:
    """A model and its tokenizer, saved in a folder; some texts that it generates end early."""
    chance = random.Random(seed)
    kind = sorted(KINDS)[seed % len(KINDS)]
    words = tokenizer(chance, begins=seed % 3 == 0)
    name, settings = KINDS[kind]
    torch.manual_seed(seed)
    config = getattr(transformers, name).config_class(vocab_size=len(words), bos_token_id=1, eos_token_id=2, **settings)
    model = getattr(transformers, name)(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    drawn = [token for prompt in PROMPTS for token in generated(model, words, prompt, eos_token_id=None)]
    ends = [2, *(chance.choice(drawn) for _ in range(chance.randint(0, 3)))]
    model.generation_config = transformers.GenerationConfig(bos_token_id=1, eos_token_id=ends, do_sample=False)
    model.save_pretrained(path)
    words.save_pretrained(path)
    if seed % 4 == 1:  # then config.json says it alone
        (path / "generation_config.json").unlink()
        config = json.loads((path / "config.json").read_text())
        (path / "config.json").write_text(json.dumps({**config, "eos_token_id": ends}))
        model = getattr(transformers, name).from_pretrained(path).eval()
    return model, words


def generated(model: Any, words: Any, prompt: str, **options: Any) -> list[int]:
    """The tokens that transformers generates greedily, a last one that ends them included."""
    ids = words(prompt, return_tensors="pt").input_ids
    ids = ids.to(torch.int64) if ids.numel() else torch.tensor([[model.config.bos_token_id]])
    with torch.inference_mode():
        found = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=30, do_sample=False, pad_token_id=0, **options
        )
    tokens: list[int] = found[0, ids.shape[1] :].tolist()
    return tokens


def files_of(path: Path) -> dict[str, bytes]:
    """The files of a folder, those in folders of it too."""
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}
