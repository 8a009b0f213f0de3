"""The command table: names of commands, where their functions are, one-line summaries. Imports no command."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple


class Command(NamedTuple):
    """Where a command lives and what it does, in one line."""

    module: str
    function: str
    summary: str


NGRAM = "lmkit.commands.ngram"
BPE = "lmkit.commands.bpe"
W2V = "lmkit.commands.w2v"
TRAIN = "lmkit.commands.train"
CALC = "lmkit.commands.calc"
FINETUNE = "lmkit.commands.finetune"
PROMPT = "lmkit.commands.prompt"
DATA = "lmkit.commands.data"
SCALING = "lmkit.commands.scaling"
COMMANDS = {
    "ppl": Command("lmkit.commands.ppl", "ppl", "Compute perplexity of texts under any model."),
    "score": Command("lmkit.commands.score", "score", "Score each line or token: log-probability under any model."),
    "next": Command("lmkit.commands.next", "next_token", "Show the distribution of the next token after a prompt."),
    "sample": Command("lmkit.commands.sample", "sample", "Generate text with any model."),
    "chat": Command("lmkit.commands.chat", "chat", "Talk with a model, or answer conversations."),
    "fill": Command("lmkit.commands.fill", "fill", "Fill masks: the most probable tokens at each [MASK] of a text."),
    "predict": Command("lmkit.commands.predict", "predict", "Predict labels or numbers with a fine-tuned model."),
    "embed": Command("lmkit.commands.embed", "embed", "Embed lines or tokens as vectors."),
    "attention": Command(
        "lmkit.commands.attention", "attention", "Print the attention weights of a transformer, or a mask."
    ),
    "entropy": Command("lmkit.commands.entropy.entropy", "entropy", "Measure the entropy of texts and distributions."),
    "compress": Command("lmkit.commands.compress", "compress", "Compress a file by arithmetic coding with any model."),
    "decompress": Command("lmkit.commands.compress", "decompress", "Decompress a file that `lmkit compress` wrote."),
    "info": Command("lmkit.commands.info", "info", "Describe a checkpoint: kind, sizes, tokenizer, provenance."),
    "report": Command("lmkit.commands.report", "report", "Gather results of commands into one page."),
    "convert": Command("lmkit.commands.convert", "convert", "Convert checkpoints to and from other tools' formats."),
    "completion": Command("lmkit.commands.completion", "completion", "Print a shell's completion script."),
    "man": Command("lmkit.commands.man", "man", "Show a manual page, also where `man` does not find it."),
    "ngram count": Command(f"{NGRAM}.count", "count", "Count the n-grams of a text."),
    "ngram merge": Command(f"{NGRAM}.merge", "merge", "Merge count files: add up their counts."),
    "ngram fit": Command(f"{NGRAM}.fit", "fit", "Fit a smoothed n-gram model to a text or to counts."),
    "ngram ppl": Command("lmkit.commands.ppl", "ppl", "Compute perplexity of texts; the same as `lmkit ppl`."),
    "ngram query": Command(f"{NGRAM}.query", "query", "Look up n-grams and their probabilities."),
    "ngram prune": Command(f"{NGRAM}.prune", "prune", "Prune a model: drop n-grams with little effect on perplexity."),
    "ngram mix": Command(f"{NGRAM}.mix", "mix", "Mix n-gram models into one (static interpolation)."),
    "ngram coverage": Command(
        f"{NGRAM}.coverage", "coverage", "Measure n-gram overlap of a test text with a training text."
    ),
    "ngram import": Command(f"{NGRAM}.convert", "import_", "Import an ARPA model or a table of counts."),
    "ngram export": Command(f"{NGRAM}.convert", "export", "Export a model as ARPA, or counts as a table."),
    "bpe train": Command(f"{BPE}.train", "train", "Train a tokenizer: byte-pair encoding (BPE), WordPiece or unigram."),
    "bpe encode": Command(f"{BPE}.encode", "encode", "Encode text as ids or pieces."),
    "bpe decode": Command(f"{BPE}.decode", "decode", "Decode ids or pieces to text."),
    "bpe stats": Command(
        f"{BPE}.stats", "stats", "Report tokenizer statistics: fertility, compression, vocabulary use."
    ),
    "bpe count": Command(f"{BPE}.count", "count", "Count the distinct pre-tokens of a text."),
    "bpe import": Command(f"{BPE}.convert", "import_", "Import a tokenizer from another tool."),
    "bpe export": Command(f"{BPE}.convert", "export", "Export a tokenizer to another tool's format."),
    "w2v train": Command(f"{W2V}.train", "train", "Train word vectors on a text: word2vec."),
    "w2v similar": Command(f"{W2V}.similar", "similar", "Find the nearest neighbours of words."),
    "w2v analogy": Command(f"{W2V}.analogy", "analogy", "Solve analogies: find D so that A is to B as C is to D."),
    "w2v compare": Command(f"{W2V}.compare", "compare", "Compare words: cosine similarity and Euclidean distance."),
    "w2v eval": Command(f"{W2V}.eval", "eval_", "Evaluate word vectors on analogies or word similarity."),
    "w2v pairs": Command(f"{W2V}.pairs", "pairs", "List the (centre, context) training pairs of a text."),
    "w2v plot": Command(f"{W2V}.plot", "plot_words", "Plot word vectors on a plane by PCA or t-SNE."),
    "w2v import": Command(f"{W2V}.convert", "import_", "Import word vectors from another tool."),
    "w2v export": Command(f"{W2V}.convert", "export", "Export word vectors to another tool's format."),
    "train ffn": Command(f"{TRAIN}.ffn", "ffn", "Train a feed-forward n-gram model."),
    "train rnn": Command(f"{TRAIN}.rnn", "rnn", "Train a recurrent language model, classifier or tagger."),
    "train transformer": Command(f"{TRAIN}.transformer", "transformer", "Train a decoder-only transformer."),
    "train encoder": Command(
        f"{TRAIN}.encoder", "encoder", "Train an encoder: BERT's kind of model, which reads both ways."
    ),
    "train seq2seq": Command(
        f"{TRAIN}.seq2seq", "seq2seq", "Train an encoder-decoder on pairs: translation, or any text to text."
    ),
    "train vision": Command(f"{TRAIN}.vision", "vision", "Train a vision transformer on labelled images."),
    "train captioner": Command(
        f"{TRAIN}.captioner", "captioner", "Train a captioner: a language model that is shown images."
    ),
    "finetune classify": Command(f"{FINETUNE}.classify", "classify", "Train a classifier on labelled texts."),
    "finetune regress": Command(f"{FINETUNE}.regress", "regress", "Train a regressor on texts with numbers."),
    "finetune tag": Command(f"{FINETUNE}.tag", "tag", "Train a tagger on sentences whose words have labels."),
    "finetune instruct": Command(
        f"{FINETUNE}.instruct", "instruct", "Tune a language model on instructions and conversations."
    ),
    "finetune prefer": Command(f"{FINETUNE}.prefer", "prefer", "Align a language model with preferences (DPO)."),
    "finetune seq2seq": Command(
        f"{FINETUNE}.seq2seq", "seq2seq", "Train an encoder-decoder further, on pairs of one or more tasks."
    ),
    "finetune merge": Command(f"{FINETUNE}.merge", "merge", "Merge an adapter into its model."),
    "prompt zero-shot": Command(
        f"{PROMPT}.zero_shot", "zero_shot", "Make zero-shot prompts: an instruction and the item."
    ),
    "prompt few-shot": Command(
        f"{PROMPT}.few_shot", "few_shot", "Make few-shot prompts: an instruction, examples and the item."
    ),
    "prompt cot": Command(f"{PROMPT}.cot", "cot", "Make chain-of-thought prompts: examples with reasoning."),
    "prompt fill": Command(f"{PROMPT}.fill", "fill", "Make prompts from a template."),
    "prompt chat": Command(f"{PROMPT}.chat", "chat", "Render conversations with a model's chat template."),
    "prompt extract": Command(
        f"{PROMPT}.extract", "extract", "Make prompts for event extraction, and check the answers."
    ),
    "prompt answer": Command(f"{PROMPT}.answer", "answer", "Choose the most probable of given answers to each prompt."),
    "prompt rank": Command(f"{PROMPT}.rank", "rank", "Rank the answers to each prompt by a model's likelihood."),
    "prompt ablate": Command(f"{PROMPT}.ablate", "ablate", "Measure the effect of example labels on accuracy."),
    "prompt search": Command(f"{PROMPT}.search", "search", "Rank prompt templates by accuracy on a development set."),
    "prompt tree": Command(f"{PROMPT}.tree", "tree", "Answer prompts by tree-of-thoughts search or self-consistency."),
    "eval text": Command("lmkit.commands.eval.text", "text", "Measure the diversity of texts."),
    "data text": Command(f"{DATA}.texts", "text", "Print a sample text that every Python installation contains."),
    "data split": Command(f"{DATA}.split", "split", "Split a corpus into shares, such as train, valid and test."),
    "data shuffle": Command(f"{DATA}.shuffle", "shuffle", "Shuffle the lines or records of a corpus."),
    "data dedup": Command(f"{DATA}.dedup", "dedup", "Remove duplicates from a corpus."),
    "data stats": Command(f"{DATA}.stats", "stats", "Count the bytes, documents, lines, words and tokens of a corpus."),
    "data filter": Command(f"{DATA}.filter", "filter_", "Filter a corpus by rules, language, scores or perplexity."),
    "data decontaminate": Command(
        f"{DATA}.decontaminate", "decontaminate", "Remove records that overlap with test items, or such items."
    ),
    "data mix": Command(f"{DATA}.mix", "mix", "Mix corpora into one by weights."),
    "data next": Command(f"{DATA}.texts", "next_", "List the next-token training examples of a text."),
    "data mask": Command(f"{DATA}.mask", "mask", "Mask tokens of a text: the training examples of BERT."),
    "data spans": Command(
        f"{DATA}.spans", "spans", "Replace spans of a text by sentinels: the training examples of T5."
    ),
    "data noise": Command(f"{DATA}.noise", "noise", "Add noise to a text: the training examples of BART."),
    "data nsp": Command(f"{DATA}.nsp", "nsp", "Make sentence pairs of a text, for next-sentence prediction."),
    "data format": Command(f"{DATA}.format", "format_", "Format examples as prompts and outputs for training."),
    "eval classify": Command("lmkit.commands.eval.classify", "classify", "Score predicted labels against gold labels."),
    "eval regress": Command("lmkit.commands.eval.regress", "regress", "Score predicted numbers against gold numbers."),
    "eval tag": Command("lmkit.commands.eval.tag", "tag", "Score predicted labels of tokens against gold labels."),
    "eval prefer": Command(
        "lmkit.commands.eval.prefer", "prefer", "Measure how often a model prefers the chosen answers."
    ),
    "eval instruct": Command(
        "lmkit.commands.eval.instruct", "instruct", "Measure how often answers follow checkable instructions."
    ),
    "eval wins": Command("lmkit.commands.eval.wins", "wins", "Compute the win rate of answers against others."),
    "eval answers": Command("lmkit.commands.eval.answers", "answers", "Extract answers from texts and score them."),
    "eval em": Command("lmkit.commands.eval.em", "em", "Compute exact match and token F1 of answers, as in SQuAD."),
    "eval bleu": Command("lmkit.commands.eval.bleu", "bleu", "Compute BLEU and chrF of texts against references."),
    "scaling plan": Command(f"{SCALING}.plan", "plan", "Count the parameters of models exactly."),
    "scaling flops": Command(f"{SCALING}.flops", "flops", "Count the FLOPs of training: 6 N D, or exactly."),
    "scaling isoflop": Command(
        f"{SCALING}.isoflop", "isoflop", "Find the best model size for each compute budget (IsoFLOP)."
    ),
    "scaling fit": Command(f"{SCALING}.fit", "fit", "Fit scaling laws to runs, with bootstrap intervals."),
    "scaling predict": Command(
        f"{SCALING}.predict", "predict", "Predict the compute-optimal size, data and loss for a budget."
    ),
    "scaling check": Command(f"{SCALING}.check", "check", "Check whether a model's training data suit its size."),
    "scaling run": Command(f"{SCALING}.run", "run_", "Train a sweep of model sizes and compute budgets."),
    "calc softmax": Command(f"{CALC}.distributions", "softmax", "Compute the softmax of logits."),
    "calc cross-entropy": Command(
        f"{CALC}.distributions", "cross_entropy", "Compute cross-entropy of distributions, or of logits and a target."
    ),
    "calc entropy": Command(f"{CALC}.distributions", "entropy", "Compute the entropy of probabilities."),
    "calc perplexity": Command(
        f"{CALC}.distributions", "perplexity", "Compute perplexity from token log-probabilities."
    ),
    "calc rnn-step": Command(
        f"{CALC}.rnn_cells", "rnn_step", "Compute one step of a simple (Elman) recurrent network."
    ),
    "calc lstm-step": Command(f"{CALC}.rnn_cells", "lstm_step", "Compute one step of an LSTM."),
    "calc gru-step": Command(f"{CALC}.rnn_cells", "gru_step", "Compute one step of a GRU."),
    "calc attention": Command(f"{CALC}.attention", "attention", "Compute attention scores, weights and outputs."),
    "calc sgns": Command(f"{CALC}.word2vec", "sgns", "Compute the skip-gram negative-sampling loss and its gradients."),
    "calc w2v-softmax": Command(
        f"{CALC}.word2vec", "w2v_softmax", "Compute word2vec's softmax probabilities, loss and gradients."
    ),
    "calc dpo": Command(f"{CALC}.preference", "dpo", "Compute the loss of direct preference optimisation (DPO)."),
    "calc layernorm": Command(f"{CALC}.layers", "layernorm", "Compute layer normalization or RMSNorm."),
    "calc posenc": Command(f"{CALC}.layers", "posenc", "Compute the sinusoidal encoding of a position."),
}
BUILT_IN = {"help": "Show the help of a command.", "version": "Print the version."}
"""Words that are answered here, so that nothing is imported for them."""
SPREAD = {
    "w2v analogy": ("--positive", "--negative"),
    "eval bleu": ("--references",),
    "prompt search": ("--templates",),
    "ppl": ("--compare",),
    "ngram ppl": ("--compare",),
}
"""Options that take all words up to the next option; the parser knows them as options that may be repeated."""
SORTING = frozenset(
    {"ngram count", "ngram merge", "ngram fit", "ngram mix", "ngram import", "bpe train", "w2v train", "entropy"}
)
"""Commands that mostly sort; see `io.processor`. `bpe encode` is not one: AVX-512 is good for what it does."""
GROUPS = {
    "ngram": "N-gram models: count, fit, query, prune, mix, convert.",
    "bpe": "Tokenizers: train (BPE, WordPiece), encode, decode, measure, convert.",
    "w2v": "Word vectors: train, query, evaluate, plot, convert.",
    "train": "Train neural models: feed-forward, recurrent, transformers, seq2seq, images.",
    "finetune": "Fine-tune models, or train baselines, on examples.",
    "prompt": "Prompts: write, answer, search, compare.",
    "eval": "Score predictions against references.",
    "data": "Corpora: split, shuffle, clean, mix; training examples.",
    "scaling": "Scaling laws: how large a model, how many tokens, how much compute.",
    "calc": "Calculate formulas on numbers given as JSON.",
}
SUMMARY = "Language modelling for the shell: train, score, sample and evaluate models in pipes."


def function_of(name: str) -> Callable[..., Any]:
    """The function behind a command, its module imported now."""
    command = COMMANDS[name]
    function: Callable[..., Any] = getattr(import_module(command.module), command.function)
    return function


def typed_command(words: Sequence[str]) -> str | None:
    """The command that the words name, if they name one."""
    words = [word for word in words if not word.startswith("-")]
    for length in (2, 1):
        if " ".join(words[:length]) in COMMANDS:
            return " ".join(words[:length])
    return None
