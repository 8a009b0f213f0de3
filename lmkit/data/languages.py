"""The language of a text by its function words, and those words. Knows no files.

A text is in the language that has most of its words among its function words, provided that these are at least a tenth
of all words and at least two. Spanish and English are named; the lists of their neighbours only keep texts in those
languages from being taken for them. Everything else is `other`: short texts, names, tables, code, other scripts.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, repeat

LEAST_SHARE, LEAST_WORDS = 0.1, 2
NAMED = ("es", "en")
OTHER = "other"
_WORD = re.compile(r"[^\W\d_]+")

_LISTS = {
    "es": "el la los las un una unos de del al a en y o que no se es por con para su sus lo le les como más pero "
    "sin sobre este esta esto ha son era fue ser muy ya también porque cuando donde todo todos entre hasta "
    "desde nos yo él ella ellos hay me te mi si qué cómo había está están han",
    "en": "the of and to in a is that it was for on are as with his they at be this have from or had by but not "
    "what all were we when your can said there an which she he you do their if will how about out many then "
    "them these so some her would him into has than its who been did my no i",
    "pt": "o a os as um uma de do da dos das em no na nos nas e ou que não se é por com para seu sua ao à mais mas "
    "como foi são ser muito já também quando todo entre até ele ela eles você isso está tem",
    "ca": "el la els les un una de del dels al als a en i o que no es és per amb seu seva més però com va són ser "
    "molt ja també quan tot entre fins ell ella aquest aquesta això està han hi ha",
    "gl": "o a os as un unha de do da dos das en no na nos nas e ou que non se é por con para seu súa ao á máis "
    "pero como foi son ser moi xa tamén cando todo entre ata el ela isto está ten",
    "fr": "le la les un une des de du au aux à en et ou que qui ne pas se est par avec pour son sa ses plus mais "
    "comme ce cette ces il elle ils on nous vous je sont était être dans sur sans tout",
    "it": "il lo la i gli le un una di del della dei a al alla in nel nella e o che non si è per con suo sua più ma "
    "come sono era essere molto già anche quando tutto tra fino questo questa lui lei da dal",
    "de": "der die das den dem des ein eine einer einem und oder zu in im ist nicht sich mit auf für von war als "
    "auch es an er sie ich wir ihr hat haben werden aus bei nach wie aber nur noch",
}
FUNCTION_WORDS: dict[str, frozenset[str]] = {name: frozenset(words.split()) for name, words in _LISTS.items()}


_LANGUAGES_OF = {
    word: tuple(name for name, words in FUNCTION_WORDS.items() if word in words)
    for word in frozenset().union(*FUNCTION_WORDS.values())
}


def language_of(text: str) -> str:
    """Return `es`, `en` or `other`."""
    return language_of_words(_WORD.findall(text.lower()))


def closest_language(text: str) -> str:
    """Return the language, of all that have lists, whose list has most of a text's words; `other`: none has one."""
    votes = _votes(_WORD.findall(text.lower()))
    best = max(FUNCTION_WORDS, key=lambda name: votes[name])
    return best if votes[best] else OTHER


def _votes(words: Iterable[str]) -> Counter[str]:
    """The words of each language among words in lower case."""
    return Counter(chain.from_iterable(map(_LANGUAGES_OF.get, words, repeat(()))))


def language_of_words(words: Sequence[str]) -> str:
    """Return the same of words in lower case."""
    votes = _votes(words)
    best = max(FUNCTION_WORDS, key=lambda name: votes[name])
    if best not in NAMED or votes[best] < max(LEAST_WORDS, LEAST_SHARE * len(words)):
        return OTHER
    return best
