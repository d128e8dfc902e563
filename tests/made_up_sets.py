"""A small made-up version of every labelled set and of the calm set, with words that tell."""

from __future__ import annotations

import random
from pathlib import Path
from zipfile import ZipFile

SHARED = [f"{a}{b}" for a in "bdfgklmnprst" for b in ("ark", "end", "ill", "oon", "ump")]


def sentence(rng: random.Random, false: bool) -> str:
    """Twelve words: nine of no meaning, three that mostly speak for the label."""
    marks = [
        rng.choice(("hoax", "miracle") if (rng.random() < 0.75) == false else ("official", "data"))
        for _ in range(3)
    ]
    words = [*marks, *(rng.choice(SHARED) for _ in range(9))]
    return " ".join(rng.sample(words, len(words)))


def write_sets(folder: Path) -> Path:
    """Writes `text/` and `tweets_2023_csv/` as training reads them."""
    text, tweets = folder / "text", folder / "tweets_2023_csv"
    text.mkdir()
    tweets.mkdir()
    rng = random.Random(11)

    def rows(n: int) -> list[tuple[bool, str]]:
        return [(i % 2 == 0, sentence(rng, i % 2 == 0)) for i in range(n)]

    def write(name: str, head: str, lines: list[str]) -> None:
        (text / name).write_text("".join(f"{line}\n" for line in ([head] if head else []) + lines))

    for name in ("liar_train.tsv", "liar_valid.tsv"):
        write(name, "", [f"1\t{'false' if f else 'true'}\t{t}" for f, t in rows(120)])
    for name in ("constraint_train.csv", "constraint_val.csv"):
        lines = [f"1,{t},{'fake' if f else 'real'}" for f, t in rows(120)]
        write(name, "id,tweet,label", lines)
    lines = [f"{'F' if f else 'T'},{t}" for f, t in rows(160)]
    write("covid19_rumor_tweets.csv", "label,content", lines)
    write("covid19_rumor_news.csv", "", [f"1,{'F' if f else 'T'},{t},3" for f, t in rows(160)])
    write("isot_true.csv", "title,text", [f"a,{sentence(rng, False)}" for _ in range(60)])
    write("isot_fake.csv", "title,text", [f"a,{sentence(rng, True)}" for _ in range(60)])
    write("shorttext_train.csv", "text,label", [f"{t},{0 if f else 1}" for f, t in rows(120)])
    with ZipFile(text / "horne2017.zip", "w") as archive:
        for i, (false, words) in enumerate(rows(120)):
            kind = "Fake" if false else "Real"
            archive.writestr(f"{kind}/{i}.txt", words)
    calm = [f"{i},{sentence(rng, i % 40 == 0)},en," for i in range(200)]
    (tweets / "a.csv").write_text("id,text,lang,retweeted_id\n" + "\n".join(calm) + "\n")
    return folder
