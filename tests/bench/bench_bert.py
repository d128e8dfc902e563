"""The detector `bert` on one core, beside the transformers pipeline with the same weights.

    python -m tests.bench.bench_bert [POSTS] [REPEATS] [small|base]

`base` is an encoder of BERT-base's shape (12 layers, 768 wide) with random weights, `small` what
ships.

The texts are invented, of the token lengths of two profiles: `real` (tweets, mean 54, 95 % at most
98) and `short` (mean 25, 95 % at most 34), already normalised, all different; `repeats` is the same
with 60 % repeated texts, as retweets are. Both sides begin with texts and end with scores or
logits. The pipeline runs as in Trivedi et al. (padded to 256 tokens, batches of 32) and as it
comes (one by one), on a part of the texts, since it is slow. It does not notice repeats, so its
rate is that of the profile. Seconds are those of the processor, of which one core is used: others
on the machine take none of them.

The ceiling is the time of the products alone on the very shapes that the detector multiplied, in
its own way, and beside it of `torch._int_mm`, which lays weights out at each call (null where the
CPU has no instruction for it).
Peers: dynamic int8 of PyTorch and of ONNX Runtime on sorted batches of the same tokens, without
tokenising; their scores depend on the neighbours in a batch, so they are no engines of ours.

Bars: see BARS, with repeats 2.2 times those, and SHARES_OF_CEILING.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PreTrainedTokenizerFast,
    pipeline,
)

from detectors.batching import Grid, plan_batches
from detectors.bert import SHIPPED_WEIGHTS, BertDetector, merge, read_adapter, read_config
from detectors.encoder import LINEARS, Shape, linear_name, read_encoder
from detectors.fused import fastest_way
from detectors.int8_products import PACKED
from detectors.runtime import Int8Engine, Model, Runner, fill, int8_engine
from streams.records import Content
from tests.bench.measure import print_result, processor_seconds_of, spread

#: Token lengths at 0, 5, 10 ... 100 % of a profile, the marks at both ends included.
PROFILES = {
    "real": (6, 19, 24, 28, 33, 37, 41, 44, 47, 50, 53, 56, 59, 62, 65, 69, 73, 78, 85, 98, 128),
    "short": (8, 15, 17, 18, 20, 21, 22, 23, 24, 25, 25, 26, 27, 28, 29, 29, 30, 31, 32, 34, 40),
}
#: By encoder: how many times as fast as the pipeline, padded to 256 and as it comes.
BARS: dict[str, dict[str, tuple[float, float]]] = {
    "small": {"real": (12, 3), "short": (24, 5)},
    "base": {"real": (15, 3.5), "short": (28, 5)},
}
WITH_REPEATS = 2.2
SHARES_OF_CEILING = {"small": 0.5, "base": 0.7}
BASE = Shape(
    n_layers=12, hidden=768, n_heads=12, intermediate=3072, n_positions=512, first_position=0,
    epsilon=1e-12,
)  # fmt: skip
REPEATED = 0.6
#: How many posts the pipeline is given, padded and as it comes.
N_PADDED, N_AS_IT_COMES = 64, 256


def lengths(profile: str, n: int) -> list[int]:
    """n token lengths whose distribution is the profile's, in an order of no meaning."""
    at = (np.arange(n) + 0.5) / n * 20
    found = np.interp(at, np.arange(21), PROFILES[profile]).round().astype(int).tolist()
    return random.Random(1).sample(found, n)


def invented_texts(token_counts: Sequence[int]) -> list[str]:
    """Texts of so many tokens: words of one token each, drawn at random."""
    vocabulary = read_encoder().tokenizer.get_vocab()
    words = sorted(word for word in vocabulary if word.isascii() and word.isalpha())
    words = [word for word in words if len(word) > 2 and word == word.lower()]
    rng = random.Random(2)
    return [" ".join(rng.choices(words, k=n - 2)) for n in token_counts]


def with_repeats(texts: Sequence[str]) -> list[str]:
    """As many texts, of which a share repeats earlier ones, as shares of a post do."""
    rng = random.Random(3)
    n_first = round(len(texts) * (1 - REPEATED))
    repeated = rng.choices(texts[:n_first], k=len(texts) - n_first)
    mixed = [*texts[:n_first], *repeated]
    return rng.sample(mixed, len(mixed))


def merged_model() -> Model:
    """The encoder with the shipped adapter merged, and its head."""
    config = read_config(SHIPPED_WEIGHTS)
    return merge(read_encoder(), read_adapter(SHIPPED_WEIGHTS, config.weights_sha256), Path())


def base_model() -> Model:
    """An encoder of BERT-base's shape, of weights as large as before any training."""
    own = merged_model()
    rng = torch.Generator().manual_seed(0)
    hidden, shape = BASE.hidden, BASE

    def drawn(*size: int) -> Tensor:
        return torch.randn(*size, generator=rng) * 0.02

    def norm(name: str) -> dict[str, Tensor]:
        return {f"{name}.weight": 1 + drawn(hidden), f"{name}.bias": drawn(hidden)}

    n_words = len(own.encoder.weights["embeddings.word_embeddings.weight"])
    weights = {
        "embeddings.word_embeddings.weight": drawn(n_words, hidden),
        "embeddings.position_embeddings.weight": drawn(shape.n_positions, hidden),
        "embeddings.token_type_embeddings.weight": drawn(2, hidden),
        **norm("embeddings.LayerNorm"),
    }
    sizes = {"up": (shape.intermediate, hidden), "down": (hidden, shape.intermediate)}
    for layer in range(shape.n_layers):
        for linear in LINEARS:
            name, size = linear_name(layer, linear), sizes.get(linear, (hidden, hidden))
            weights |= {f"{name}.weight": drawn(*size), f"{name}.bias": drawn(size[0])}
        weights |= norm(f"encoder.layer.{layer}.attention.output.LayerNorm")
        weights |= norm(f"encoder.layer.{layer}.output.LayerNorm")
    encoder = own.encoder._replace(name="base", shape=shape, weights=weights)
    return Model(encoder, drawn(2, hidden), drawn(2))


class _FirstToken(torch.nn.Module):
    """In the place of BERT's pooler, which our head does not use."""

    def forward(self, states: Tensor) -> Tensor:
        return states[:, 0]


def peer_model(model: Model) -> Any:
    """The same weights as a model of transformers."""
    shape = model.encoder.shape
    config = AutoConfig.for_model(
        "bert",
        vocab_size=len(model.encoder.weights["embeddings.word_embeddings.weight"]),
        hidden_size=shape.hidden,
        num_hidden_layers=shape.n_layers,
        num_attention_heads=shape.n_heads,
        intermediate_size=shape.intermediate,
        max_position_embeddings=shape.n_positions,
        layer_norm_eps=shape.epsilon,
        num_labels=2,
    )
    making: Any = AutoModelForSequenceClassification
    peer = making.from_config(config)
    missing, unknown = peer.bert.load_state_dict(model.encoder.weights, strict=False)
    assert all("pooler" in name for name in [*missing, *unknown]), (missing, unknown)
    peer.bert.pooler = _FirstToken()
    peer.classifier.load_state_dict({"weight": model.head_weight, "bias": model.head_bias})
    return peer.eval()


def peer_pipeline(peer: Any) -> Any:
    """The pipeline of transformers with the tokenizer that the encoder comes with."""
    of_tokenizer: Any = PreTrainedTokenizerFast
    own = of_tokenizer(
        tokenizer_object=read_encoder().tokenizer, pad_token="[PAD]", model_max_length=512
    )
    making: Any = pipeline
    return making("text-classification", model=peer, tokenizer=own, function_to_apply="none")


def contents_of(texts: Sequence[str]) -> list[Content]:
    """As a run would ask."""
    return [Content(platform="x", root_id=str(i), text=t, lang="en") for i, t in enumerate(texts)]


@contextmanager
def shapes_multiplied() -> Iterator[Counter[tuple[int, int, int]]]:
    """Counts the (rows, n_in, n_out) of all int8 products meanwhile."""
    found: Counter[tuple[int, int, int]] = Counter()
    real = Int8Engine._products

    def counted(engine: Int8Engine, integers: Tensor, linear: Any) -> Tensor:
        found[*integers.shape, len(linear.scale)] += 1
        return real(engine, integers, linear)

    with patch.object(Int8Engine, "_products", counted):
        yield found


class Ceiling(NamedTuple):
    """Processor seconds of the products alone: the detector's way, and `_int_mm`; None where the
    CPU has no instruction for it, and it takes a hundred times as long."""

    own: float
    int_mm: float | None


def ceiling_seconds(shapes: Counter[tuple[int, int, int]]) -> Ceiling:
    """How long the products alone take: each shape alone, the best of five, times its number."""
    way = fastest_way()
    own = int_mm = 0.0
    for (rows, n_in, n_out), n_times in shapes.items():
        ours = torch.randint(-127, 128, (rows, n_in), dtype=torch.int8)
        other = torch.randint(-127, 128, (n_in, n_out), dtype=torch.int8)
        out = torch.empty(rows, n_out, dtype=torch.int32)
        own += n_times * best_of_five(
            partial(way.multiply, ours, way.lay_out(other), torch.ones(n_out))
        )
        if way == PACKED:
            int_mm += n_times * best_of_five(partial(torch._int_mm, ours, other, out=out))
    return Ceiling(own, int_mm or None)


def best_of_five(work: Callable[[], object]) -> float:
    """The least processor seconds of five calls."""
    return min(processor_seconds_of(work) for _ in range(5))


def shares(ceilings: Sequence[float | None], own: Sequence[float]) -> dict[str, float] | None:
    """Which share of our time the products alone would take; None if that was not measured."""
    found = [ceiling / seconds for ceiling, seconds in zip(ceilings, own, strict=True) if ceiling]
    if not found:
        return None
    return {
        "median": round(statistics.median(found), 3),
        "least": round(min(found), 3),
        "most": round(max(found), 3),
    }


def sorted_batches(texts: Sequence[str]) -> list[dict[str, Tensor]]:
    """The texts' tokens in batches of about one length, as models of transformers want them."""
    ids = read_encoder().tokenize(texts, 128)
    batches = plan_batches([len(own) for own in ids], Grid(4, 1, 128, 1024))
    made = []
    for batch in batches:
        table, counts = fill(batch, ids)
        mask = (torch.arange(batch.n_tokens) < counts[:, None]).long()
        made.append(
            {"input_ids": table, "attention_mask": mask, "token_type_ids": torch.zeros_like(table)}
        )
    return made


def torch_dynamic(peer: Any, batches: Sequence[dict[str, Tensor]]) -> Callable[[], object]:
    """PyTorch's dynamic int8. Raises ImportError where it has none."""
    from torch.ao import quantization

    quantising: Any = quantization.quantize_dynamic
    quantised = quantising(peer, {torch.nn.Linear}, dtype=torch.qint8)

    def run() -> None:
        with torch.inference_mode():
            for batch in batches:
                quantised(**batch)

    return run


def onnx_dynamic(peer: Any, batches: Sequence[dict[str, Tensor]]) -> Callable[[], object]:
    """ONNX Runtime's dynamic int8, one scale per output channel. Raises ImportError without it."""
    import_module("onnx")  # which both below need and do not name
    runtime: Any = import_module("onnxruntime")
    quantisation: Any = import_module("onnxruntime.quantization")
    names = ["input_ids", "attention_mask", "token_type_ids"]
    with tempfile.TemporaryDirectory() as folder:
        plain, quantised = Path(folder) / "plain.onnx", Path(folder) / "int8.onnx"
        torch.onnx.export(
            peer,
            tuple(batches[0][name] for name in names),
            str(plain),
            input_names=names,
            dynamic_axes={name: {0: "texts", 1: "tokens"} for name in names},
            dynamo=False,
        )
        quantisation.quantize_dynamic(
            plain, quantised, per_channel=True, weight_type=quantisation.QuantType.QInt8
        )
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = runtime.InferenceSession(str(quantised), options)
    fed = [{name: tensor.numpy() for name, tensor in batch.items()} for batch in batches]

    def run() -> None:
        for batch in fed:
            session.run(None, batch)

    return run


def peers(
    peer: Any, texts: Sequence[str], repeats: int, ours: Sequence[float]
) -> dict[str, dict[str, Any]]:
    """How many times as fast as each peer the detector is; the peers need not tokenise."""
    batches = sorted_batches(texts)
    found: dict[str, dict[str, Any]] = {}
    for name, made_by in (("torch_int8", torch_dynamic), ("onnx_int8", onnx_dynamic)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # both tell of changes to come
                run = made_by(peer, batches)
        except ImportError as error:
            found[name] = {"skipped": f"not installed: {error.name}"}
            continue
        run()
        seconds = [processor_seconds_of(run) for _ in range(repeats)]
        ratio = statistics.median(seconds) / statistics.median(ours)
        found[name] = {**spread(seconds), "times_as_fast": round(ratio, 2)}
    return found


def agree(detector: BertDetector, classify: Any, texts: Sequence[str]) -> float:
    """The share of texts that both sides give the same higher logit; the pipeline has no wide
    part."""
    ours = [false > true for true, false in detector.encoder_logits(texts)]
    theirs = [found["label"] == "LABEL_1" for found in classify(list(texts))]
    same = [a == b for a, b in zip(ours, theirs, strict=True)]
    return round(same.count(True) / len(same), 4)


def measure(
    size: str, profile: str, detector: BertDetector, peer: Any, n_posts: int, repeats: int
) -> dict[str, Any]:
    """One profile: ours, with repeats, padded, as it comes, ceiling, peers."""
    classify = peer_pipeline(peer)
    counts = lengths(profile, n_posts)
    texts = invented_texts(counts)
    fresh, again = contents_of(texts), contents_of(with_repeats(texts))

    def score(contents: list[Content]) -> None:
        detector._remembered.clear()
        detector.score(contents)

    work: dict[str, tuple[int, Callable[[], object]]] = {
        "ours": (n_posts, partial(score, fresh)),
        "with_repeats": (n_posts, partial(score, again)),
        "padded": (
            min(N_PADDED, n_posts),
            partial(
                classify, texts[:N_PADDED], batch_size=32, padding="max_length", max_length=256,
                truncation=True,
            ),
        ),
        "as_it_comes": (
            min(N_AS_IT_COMES, n_posts), partial(classify, texts[:N_AS_IT_COMES])
        ),
    }  # fmt: skip
    with shapes_multiplied() as shapes:
        score(fresh)
    seconds: dict[str, list[float]] = {name: [] for name in work}
    ceilings = []
    for _ in range(repeats):  # in turn, so that a busy moment meets all
        for name, (_, run) in work.items():
            seconds[name].append(processor_seconds_of(run))
        ceilings.append(ceiling_seconds(shapes))

    def rate(name: str, which: Callable[[list[float]], float] = statistics.median) -> float:
        found: float = work[name][0] / which(seconds[name])
        return found

    def times(ours: str, theirs: str) -> float:
        return round(rate(ours) / rate(theirs), 1)

    padded_bar, plain_bar = BARS[size][profile]
    return {
        "tokens": {"mean": round(float(np.mean(counts)), 1), "p95": int(np.percentile(counts, 95))},
        "posts_per_second": {
            name: {
                "median": round(rate(name), 1),
                "slowest": round(rate(name, max), 1),
                "fastest": round(rate(name, min), 1),
            }
            for name in work
        },
        "times_padded": times("ours", "padded"),
        "times_as_it_comes": times("ours", "as_it_comes"),
        "times_padded_with_repeats": times("with_repeats", "padded"),
        "times_as_it_comes_with_repeats": times("with_repeats", "as_it_comes"),
        "share_of_ceiling": shares([found.own for found in ceilings], seconds["ours"]),
        "share_of_int_mm": shares([found.int_mm for found in ceilings], seconds["ours"]),
        "same_label_as_pipeline": agree(detector, classify, texts[:N_AS_IT_COMES]),
        "peers": peers(peer, texts, repeats, seconds["ours"]),
        "bar": f"times_padded >= {padded_bar}, times_as_it_comes >= {plain_bar}, with repeats >= "
        f"{padded_bar * WITH_REPEATS:.1f} and {plain_bar * WITH_REPEATS:.1f}, share_of_ceiling "
        f">= {SHARES_OF_CEILING[size]}",
    }


def main(n_posts: int, repeats: int, size: str) -> None:
    """Measures both profiles on one core."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    detector = BertDetector(engine="int8", n_threads=1)
    model = merged_model()
    if size == "base":
        model = base_model()
        engine = int8_engine(model)
        detector._runner = Runner(engine, 1)
        detector.version = f"random-{engine.name}"
    peer = peer_model(model)
    profiles = {name: measure(size, name, detector, peer, n_posts, repeats) for name in PROFILES}
    print_result(
        "bert",
        {
            "posts": n_posts,
            "repeats": repeats,
            "encoder": size,
            "detector": detector.version,
            "torch": torch.__version__,
            "threads": 1,
            "profiles": profiles,
        },
    )


if __name__ == "__main__":
    posts, times, wanted = (*sys.argv[1:], *("2048", "5", "small")[len(sys.argv) - 1 :])
    main(int(posts), int(times), wanted)
