"""`lmkit w2v train`: word vectors from texts."""

from lmkit.commands.loading import models as opening
from lmkit.commands.options.option_groups import with_groups
from lmkit.commands.options.standard import Run
from lmkit.commands.options.text_input import TextFiles
from lmkit.commands.options.word2vec import Word2VecOptions
from lmkit.commands.w2v.session import print_updates, run_training
from lmkit.io import streams


@with_groups()
def train(run: Run, files: TextFiles = None, *, options: Word2VecOptions) -> None:
    """Learn a vector for each word of a text: word2vec.

    Skip-gram or CBOW, by negative sampling or the full softmax (Mikolov et al. 2013). Words are
    what stands between spaces; contexts do not cross lines, and a line may be as long as it
    likes. The text is read once, from files or stdin. Training is fast with numba, the extra
    `fast`, slower without. Both vectors of each word are kept, as centre and as context.

    With --subwords a word's vector as centre is the mean of one of its own and one for each of the
    n-grams of characters that <word> has (Bojanowski et al. 2017), so that unknown words have vectors.

    Commands that look up words normalise them as --normalize and --punctuation say.

    Examples:
      lmkit w2v train corpus.txt -o vectors.lm
      lmkit w2v train --arch cbow --dim 300 --window 10 --epochs 3 corpus.gz -o vectors.lm
      lmkit w2v train --phrases 2 --log run.jsonl corpus.txt -o vectors.lm
      lmkit w2v train --subwords 3-6 corpus.txt -o vectors.lm
      lmkit w2v train --normalize lowercase --punctuation remove corpus.txt -o vectors.lm
    """
    inputs = list(files or [streams.STDIN])
    opening.check_single_stdin(*inputs, options.embeddings)
    options.check()
    (print_updates if options.count_updates else run_training)(run, inputs, options)
