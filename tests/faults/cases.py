"""What the campaign of faults tries: commands that write, commands that read, and files of other tools."""

from collections.abc import Mapping

RESUMING = "--tokens char text.txt -o {out} --resume --save-every 0.05"
WRITERS: Mapping[str, str] = {
    "ngram fit": "ngram fit --order 4 text.txt -o {out}",
    "ngram count": "ngram count --order 4 text.txt -o {out}",
    "ngram export": "ngram export kneser-ney.lm -o {out}",
    "ngram prune": "ngram prune -m kneser-ney.lm --threshold 1e-3 -o {out}",
    "bpe train": "bpe train --vocab-size 600 text.txt -o {out}",
    "bpe encode": "bpe encode -m bpe.lm --as npy text.txt -o {out}",
    "w2v train": "w2v train --dim 8 --epochs 20 text.txt -o {out} --resume --save-every 0.05",
    "train ffn": f"train ffn --steps 60 --width 8 --hidden 16 {RESUMING}",
    "train rnn": f"train rnn --steps 60 --width 8 --layers 1 {RESUMING}",
    "finetune classify": "finetune classify labelled.tsv -o {out}",
    "compress": "compress -m characters.lm short.txt -o {out}",
    "w2v export": "w2v export vectors.lm -o {out}",
    "data shuffle": "data shuffle --seed 1 text.txt -o {out}",
    "data dedup": "data dedup --near 0.8 text.txt -o {out}",
    "sample": "sample -m kneser-ney.lm -n 400 -o {out}",
    "score": "score --json -m kneser-ney.lm text.txt -o {out}",
}
"""Commands that write `{out}`; those with --resume go on where a killed run saved its state."""

READERS: Mapping[str, str] = {
    "kneser-ney.lm": "ppl -m {file} text.txt",
    "characters.lm": "sample -m {file} -n 2 --max-tokens 20",
    "bytes.lm": "ppl -m {file} text.txt",
    "normalising.lm": "ppl -m {file} text.txt",
    "mixed.lm": "ppl -m {file} text.txt",
    "counts.lm": "ngram fit --from-counts --order 2 --smoothing wb {file}",
    "bpe.lm": "bpe encode -m {file} text.txt",
    "wordpiece.lm": "bpe encode -m {file} text.txt",
    "pretokens.lm": "bpe train --vocab-size 270 --from-counts {file}",
    "vectors.lm": "w2v similar -m {file} cat",
    "subwords.lm": "w2v similar -m {file} cats",
    "ffn.lm": "ppl -m {file} text.txt",
    "lstm.lm": "ppl -m {file} text.txt",
    "gru.lm": "sample -m {file} --max-tokens 20",
    "transformer.lm": "ppl -m {file} text.txt",
    "encoder.lm": "fill -m {file} --top 2 [MASK]",
    "bag.lm": "predict -m {file} labelled.tsv",
    "averaged.lm": "predict -m {file} labelled.tsv",
    "classifier.lm": "predict -m {file} labelled.tsv",
    "adapter.lm": "predict -m encoder.lm --adapter {file} labelled.tsv",
    "tagger.lm": "predict -m {file} --as bio text.txt",
    "unigram.lm": "bpe encode -m {file} text.txt",
    "linear-tagger.lm": "predict -m {file} --as bio text.txt",
    "instructed.lm": "next -m {file} --prompt a",
    "seq2seq-rnn.lm": "score -m {file} --pairs pairs.tsv",
    "seq2seq.lm": "sample -m {file} --max-tokens 10 text.txt",
    "prefix.lm": "score -m {file} --pairs pairs.tsv",
    "text.lmz": "decompress -m characters.lm {file}",
}
"""A command that reads each checkpoint of `tests/compatibility`, of which one is damaged."""

FOREIGN: Mapping[str, tuple[str, str]] = {
    "model.arpa": ("ngram export kneser-ney.lm -o {file}", "ppl -m {file} text.txt"),
    "tokenizer.json": ("bpe export bpe.lm -o {file}", "bpe encode -m {file} text.txt"),
    "vectors.txt": ("w2v export vectors.lm -o {file}", "w2v similar -m {file} cat"),
    "vectors.bin": ("w2v export --format bin vectors.lm -o {file}", "w2v similar -m {file} cat"),
    "folder/model.safetensors": ("convert transformer.lm -o folder", "ppl -m folder text.txt"),
    "folder/config.json": ("", "ppl -m folder text.txt"),
    "folder/tokenizer.json": ("", "ppl -m folder text.txt"),
    "records.jsonl": ("score --json -m kneser-ney.lm text.txt -o {file}", "ppl -m kneser-ney.lm {file}"),
    "conversations.jsonl": ("", "prompt chat --template chatml {file}"),
    "labelled.csv": ("", "finetune classify --min-count 1 {file}"),
    "template.txt": ("", "prompt fill --template @{file} text.txt"),
    "settings.yaml": ("", "ngram fit --config {file} text.txt"),
    "sentencepiece.model": ("", "bpe encode -m {file} text.txt"),
    "model.gguf": ("", "ppl -m {file} text.txt"),
}
"""Files of other tools and of users: the command that makes one, if any, and one that reads it."""
