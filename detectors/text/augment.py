"""More texts of the rarer class out of those there are: four easy operations on words.

Source: Wei and Zou, "EDA: Easy Data Augmentation Techniques for Boosting Performance on Text
Classification Tasks", EMNLP 2019. They take synonyms from WordNet; here whoever calls says what a
word's synonyms are (`neighbours` of an encoder's vocabulary, unless a thesaurus is at hand). Only
ever for texts that are trained on: a copy of a test text in training is a leak.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from detectors.datasets.labelled import LabelledPost
from detectors.text.stem import STOP_WORDS

if TYPE_CHECKING:
    from detectors.encoder import Encoder

#: A word -> words that may stand for it, best first.
Synonyms = Callable[[str], Sequence[str]]

#: The share of words that an operation changes: what the paper advises for most sizes.
ALPHA = 0.1
_PUNCTUATION = ".,;:!?\"'()[]"


def replace_synonyms(words: Sequence[str], n: int, rng: random.Random, of: Synonyms) -> list[str]:
    """n distinct words that are no stop words replaced by a synonym, at all their places.

    >>> replace_synonyms(["the", "moon"], 1, random.Random(0), lambda word: ["sun"])
    ['the', 'sun']
    """
    found = list(words)
    left = n
    for word in rng.sample(*_choices(words)):
        synonyms = of(word)
        if synonyms and left:
            chosen = rng.choice(synonyms)
            found = [chosen if other == word else other for other in found]
            left -= 1
    return found


def insert_synonyms(words: Sequence[str], n: int, rng: random.Random, of: Synonyms) -> list[str]:
    """n times a synonym of a random word that is no stop word, at a random place.

    >>> insert_synonyms(["moon"], 2, random.Random(0), lambda word: ["sun"])
    ['moon', 'sun', 'sun']
    """
    found = list(words)
    candidates = [word for word in _choices(words)[0] if of(word)]
    for _ in range(n if candidates else 0):
        found.insert(rng.randrange(len(found) + 1), rng.choice(of(rng.choice(candidates))))
    return found


def swap(words: Sequence[str], n: int, rng: random.Random) -> list[str]:
    """n times two words at random change places.

    >>> swap(["a", "b"], 1, random.Random(0))
    ['b', 'a']
    """
    found = list(words)
    for _ in range(n if len(found) > 1 else 0):
        i, j = rng.sample(range(len(found)), 2)
        found[i], found[j] = found[j], found[i]
    return found


def delete(words: Sequence[str], share: float, rng: random.Random) -> list[str]:
    """Each word left out with that probability; one stays.

    >>> delete(["a", "b", "c"], 1.0, random.Random(0))
    ['b']
    """
    kept = [word for word in words if rng.random() >= share]
    return kept or [rng.choice(words)]


def variant(
    text: str, operation: int, rng: random.Random, of: Synonyms, alpha: float = ALPHA
) -> str:
    """The text after one of the four operations, 0 to 3; n = max(1, alpha * words)."""
    words = text.split()
    if not words:
        return text
    n = max(1, round(alpha * len(words)))
    if operation == 0:
        return " ".join(replace_synonyms(words, n, rng, of))
    if operation == 1:
        return " ".join(insert_synonyms(words, n, rng, of))
    return " ".join(swap(words, n, rng) if operation == 2 else delete(words, alpha, rng))


def balanced(posts: Sequence[LabelledPost], of: Synonyms, seed: int = 0) -> list[LabelledPost]:
    """The posts and, of each rarer class, as many variants as make it as frequent as the commonest
    among the training posts. Other splits stay as they are. The operations take turns.

    >>> told = LabelledPost("a", "train", "1", "the moon is cheese", "likely_true")
    >>> posts = [told, told, told._replace(label="likely_false", post_id="3")]
    >>> [(post.post_id, post.label) for post in balanced(posts, lambda word: [])][3:]
    [('3 eda 1', 'likely_false')]
    """
    rng = random.Random(seed)
    training = [post for post in posts if post.split == "train"]
    counts = Counter(post.label for post in training)
    more: list[LabelledPost] = []
    for label in sorted(counts):
        own = [post for post in training if post.label == label]
        for k in range(max(counts.values()) - len(own)):
            post = own[k % len(own)]
            operation = (k + k // len(own)) % 4
            text = variant(post.text, operation, rng, of)
            more.append(post._replace(text=text, post_id=f"{post.post_id} eda {k + 1}"))
    return [*posts, *more]


def neighbours(encoder: Encoder, n: int = 5, least: float = 0.5) -> Synonyms:
    """The n whole words nearest in an encoder's word embeddings, from that cosine on.

    They are words that stand in like places, antonyms among them: a stand-in for a thesaurus.
    """
    import torch

    table = encoder.weights["embeddings.word_embeddings.weight"]
    vocabulary = encoder.tokenizer.get_vocab()
    whole = sorted((i, word) for word, i in vocabulary.items() if word.isalpha() and len(word) > 2)
    unit = torch.nn.functional.normalize(table[[i for i, _ in whole]], dim=1)
    place = {word: row for row, (_, word) in enumerate(whole)}

    @lru_cache(maxsize=20_000)
    def of(written: str) -> tuple[str, ...]:
        word = written.strip(_PUNCTUATION).lower()
        if word not in place:
            return ()
        cosines = unit @ unit[place[word]]
        cosines[place[word]] = -1.0
        values, rows = cosines.topk(min(n, len(whole)))
        pairs = zip(values.tolist(), rows.tolist(), strict=True)
        return tuple(whole[row][1] for value, row in pairs if value >= least)

    return of


def _choices(words: Sequence[str]) -> tuple[list[str], int]:
    """The distinct words that are no stop words, and how many."""
    found = [w for w in dict.fromkeys(words) if w.strip(_PUNCTUATION).lower() not in STOP_WORDS]
    return found, len(found)
