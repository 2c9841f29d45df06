"""How good translations are: sacreBLEU, chrF, tokenised lower-cased BLEU, and exact matches.

BLEU and chrF are on the field's scale, from 0 to 100; exact match is a fraction. The two BLEUs are different numbers
and not to be compared: `bleu` scores the text as it is (Post 2018), `bleu_tokenized_lowercase` what is left of it when
it is in small letters and cut into words by Moses's rules, as papers on Multi30k count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

METRICS = ("bleu", "chrf", "bleu_tokenized_lowercase", "exact_match")

_CHARACTERS = frozenset({"ja", "km", "lo", "my", "th"})  # languages without blanks and without a tokenizer here


class Scores(NamedTuple):
    """The scores of a split.

    Attributes:
        values: metric name -> score.
        signature: what the BLEUs were made with, in sacreBLEU's own words.
    """

    values: dict[str, float]
    signature: str


def score(given: Sequence[str], right: Sequence[str], *, language: str = "") -> Scores:
    """The scores of translations.

    Args:
        given: translations, as written text.
        right: one reference for each.
        language: that of the translations, such as ``"de"``, by which words are cut; English rules where it is not
            known, characters for languages that do not part words by blanks.

    Example:

    >>> found = score(["Ein Hund läuft weg."], ["Ein Hund läuft weg."], language="de")
    >>> [round(found.values[name], 6) for name in METRICS]
    [100.0, 100.0, 100.0, 1.0]
    >>> found.signature.split("|version")[0]
    'sacreBLEU nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp'

    Reference: Papineni et al. 2002, "BLEU"; Post 2018, "A call for clarity in reporting BLEU scores",
    https://arxiv.org/abs/1804.08771; Popović 2015, "chrF".
    """
    from sacrebleu.metrics import BLEU, CHRF

    if not given:
        raise ValueError("score expects at least one translation. Received: none")
    given, right = [_clean(text) for text in given], [_clean(text) for text in right]
    tokenize = "zh" if language == "zh" else "char" if language in _CHARACTERS else "13a"
    whole, words, chrf = BLEU(tokenize=tokenize), BLEU(tokenize="none", force=True), CHRF()
    values = {
        "bleu": whole.corpus_score(given, [right]).score,
        "chrf": chrf.corpus_score(given, [right]).score,
        "bleu_tokenized_lowercase": words.corpus_score(tokenized(given, language), [tokenized(right, language)]).score,
        "exact_match": sum(map(matches, given, right)) / len(given),
    }
    moses = f"Moses {language or 'en'}, lower-cased"
    signature = f"sacreBLEU {whole.get_signature()}; chrF {chrf.get_signature()}; bleu_tokenized_lowercase {moses}"
    return Scores(values, signature)


def bleu(given: Sequence[str], right: Sequence[str]) -> float:
    """sacreBLEU with its own word boundaries, from 0 to 100, where nothing else is asked for."""
    from sacrebleu.metrics import BLEU

    return BLEU().corpus_score(list(map(_clean, given)), [list(map(_clean, right))]).score


def sentence_chrf(given: str, right: str) -> float:
    """chrF of one translation, from 0 to 100."""
    from sacrebleu.metrics import CHRF

    return CHRF().sentence_score(_clean(given), [_clean(right)]).score


def matches(given: str, right: str) -> bool:
    """Whether a translation is the reference, blanks at its ends and their number aside."""
    return given.split() == right.split()


def tokenized(texts: Sequence[str], language: str = "") -> list[str]:
    """Texts in small letters, with punctuation brought into one form and words parted by blanks, by Moses's rules."""
    from sacremoses import MosesPunctNormalizer, MosesTokenizer

    normalizer, tokenizer = MosesPunctNormalizer(lang=language or "en"), MosesTokenizer(lang=language or "en")
    return [tokenizer.tokenize(normalizer.normalize(text.lower()), return_str=True) for text in texts]


def _clean(text: str) -> str:
    """One line, as the scores' own scripts read texts."""
    return " ".join(text.split())
