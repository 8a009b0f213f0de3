from lmkit.commands.options import *
def info(run: Run, files: Files = None, model: ModelOption = None, tokens: Tokens = "word", json: Json = False) -> None:
    """What a checkpoint is.

    More.

    Examples:
      lmkit info a.lm
    """
    print(run)
