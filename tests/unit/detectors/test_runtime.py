"""Engines: right, and the same bits for a post in whatever company. Real posts: test_bert.py."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from detectors.batching import Batch, Mixed, padded
from detectors.encoder import LINEARS, Encoder, Shape, cls_states, embed, linear_name
from detectors.fused import FusedInt8Engine
from detectors.runtime import (
    ENGINES,
    REST,
    Engine,
    EngineUnavailable,
    Fp32Engine,
    Int8Engine,
    Model,
    Runner,
    engine_name,
    fill,
    levelled,
)
from tests.unit.detectors.test_int8_products import WAYS

SHAPE = Shape(
    n_layers=3, hidden=64, n_heads=4, intermediate=128, n_positions=160, first_position=0,
    epsilon=1e-12,
)  # fmt: skip
N_WORDS = 500


def invented_model(seed: int = 0, first_position: int = 0) -> Model:
    """A small encoder with random weights, of the size that trained ones have."""
    rng = torch.Generator().manual_seed(seed)
    shape = SHAPE._replace(first_position=first_position)

    def normal(*size: int, scale: float) -> torch.Tensor:
        return torch.randn(*size, generator=rng) * scale

    def norm(name: str) -> dict[str, torch.Tensor]:
        return {
            f"{name}.LayerNorm.weight": 1 + normal(shape.hidden, scale=0.1),
            f"{name}.LayerNorm.bias": normal(shape.hidden, scale=0.1),
        }

    weights = {
        "embeddings.word_embeddings.weight": normal(N_WORDS, shape.hidden, scale=0.5),
        "embeddings.position_embeddings.weight": normal(200, shape.hidden, scale=0.1),
        "embeddings.token_type_embeddings.weight": normal(2, shape.hidden, scale=0.1),
        **norm("embeddings"),
    }
    sizes = {"up": (shape.intermediate, shape.hidden), "down": (shape.hidden, shape.intermediate)}
    for layer in range(shape.n_layers):
        for linear in LINEARS:
            n_out, n_in = sizes.get(linear, (shape.hidden, shape.hidden))
            name = linear_name(layer, linear)
            weights[f"{name}.weight"] = normal(n_out, n_in, scale=1.5 / n_in**0.5)
            weights[f"{name}.bias"] = normal(n_out, scale=0.1)
        weights |= norm(f"encoder.layer.{layer}.attention.output")
        weights |= norm(f"encoder.layer.{layer}.output")
    tokenizer: Any = None
    encoder = Encoder("invented", "0" * 64, shape, weights, tokenizer)
    return Model(encoder, normal(2, shape.hidden, scale=0.3), normal(2, scale=0.1))


def invented_posts(n: int, seed: int = 0) -> list[list[int]]:
    rng = random.Random(seed)
    return [[rng.randrange(N_WORDS) for _ in range(rng.randint(2, 90))] for _ in range(n)]


def reference(model: Model, ids: Sequence[Sequence[int]]) -> np.ndarray:
    """Each post alone, without padding."""
    with torch.inference_mode():
        states = [cls_states(model.encoder, embed(model.encoder, torch.tensor([o]))) for o in ids]
        logits = torch.cat(states) @ model.head_weight.T + model.head_bias
    return logits.numpy()


MODEL = invented_model()
POSTS = invented_posts(120)


@pytest.fixture(scope="module", params=[Fp32Engine, Int8Engine, FusedInt8Engine])
def engine(request: pytest.FixtureRequest) -> Engine:
    made: Callable[[Model], Engine] = request.param
    return made(MODEL)


def run(engine: Engine, ids: Sequence[Sequence[int]], n_threads: int = 1) -> np.ndarray:
    runner = Runner(engine, n_threads)
    return np.array(runner.finish(runner.start(ids)))


def test_fp32_computes_the_reference() -> None:
    assert run(Fp32Engine(MODEL), POSTS) == pytest.approx(reference(MODEL, POSTS), abs=2e-5)


def test_positions_may_begin_later() -> None:
    model = invented_model(first_position=2)
    assert run(Fp32Engine(model), POSTS[:9]) == pytest.approx(reference(model, POSTS[:9]), abs=2e-5)
    assert not np.allclose(reference(model, POSTS[:9]), reference(MODEL, POSTS[:9]), atol=1e-3)


def test_int8_comes_near_the_reference() -> None:
    expected = reference(MODEL, POSTS)
    error = run(Int8Engine(MODEL), POSTS) - expected
    assert np.abs(error).mean() < 0.1 * expected.std()
    assert np.abs(error).max() > 0  # or it would not be int8


def test_same_bits_alone_shuffled_in_other_batches_and_with_more_threads(engine: Engine) -> None:
    together = run(engine, POSTS)
    alone = np.concatenate([run(engine, [own]) for own in POSTS[:40]])
    assert np.array_equal(alone, together[:40])
    order = random.Random(3).sample(range(len(POSTS)), len(POSTS))
    assert np.array_equal(run(engine, [POSTS[i] for i in order]), together[order])
    assert np.array_equal(run(engine, POSTS[:50]), together[:50])
    assert np.array_equal(run(engine, POSTS, n_threads=3), together)
    assert np.array_equal(run(engine, POSTS), together)  # buffers are used again


def test_padding_is_never_read(engine: Engine) -> None:
    own = POSTS[0]
    n_rows = 2 if isinstance(engine.grid, Mixed) else engine.grid.rows
    batch = Batch((0,), padded(len(own) + 1, 16), n_rows)
    ids, counts = fill(batch, [own])
    before = engine.logits(ids, counts)[0]
    ids[0, len(own) :] = 7
    ids[1:] = 9
    assert torch.equal(engine.logits(ids, counts)[0], before)
    ids[0, len(own) - 1] = 7 if own[-1] != 7 else 8
    assert not torch.equal(engine.logits(ids, counts)[0], before)


def test_rows_of_zeros_and_of_great_numbers_are_quantised() -> None:
    engine = Int8Engine(MODEL)
    x = torch.zeros(3, 64)
    x[1, 5], x[1, 6] = 1e30, -1e30
    x[2] = torch.linspace(-2, 1, 64)
    integers, scale, offset, _ = engine.quantised(x, stride=3)
    assert offset is None
    assert integers[0].tolist() == [0] * 64
    assert (int(integers[1, 5]), int(integers[1, 6])) == (127, -127)
    assert integers[2].float() * scale[2] == pytest.approx(x[2], abs=2 / 127 / 2 + 1e-6)
    assert int(integers[2].min()) == -127


def test_numbers_above_a_floor_use_all_the_integers() -> None:
    x = torch.linspace(-0.17, 5, 64).repeat(3, 1)
    x[1] = -0.17
    x[2] = 1e-9
    integers, scale, offset, _ = Int8Engine(MODEL).quantised(x, stride=3, floor=-0.17)
    assert offset is not None
    found = (integers[:3].float() + offset) * scale
    assert found[0] == pytest.approx(x[0], abs=5.17 / 254 / 2 + 1e-6)
    assert found[1] == pytest.approx(x[1], abs=1e-6)
    assert found[2] == pytest.approx(x[2], abs=0.17 / 254 / 2 + 1e-6)
    assert (int(integers[0].min()), int(integers[0].max())) == (-128, 126)


@pytest.mark.parametrize("floor", [None, -0.17])
def test_what_rounding_leaves_of_first_tokens_is_kept(floor: float | None) -> None:
    x = torch.randn(8, 64, generator=torch.Generator().manual_seed(2)).clamp(min=-0.1)
    integers, scale, offset, stride = Int8Engine(MODEL).quantised(x, stride=4, floor=floor)
    assert (tuple(integers.shape), stride) == ((8 + 2, 64), 4)
    whole = integers[:8].float() + (0 if offset is None else offset)
    once = whole * scale
    whole[::4] += integers[8:].float() / REST
    error, error_once = (whole * scale - x).abs(), (once - x).abs()
    assert error[::4].max() < error_once[::4].max() / 50
    assert torch.equal(error[1:4], error_once[1:4])


def with_a_far_channel(model: Model) -> Model:
    """One channel of all states reaches thirty times as far as the others; reaches say so."""
    weights = dict(model.encoder.weights)
    for name in weights:
        if name.endswith("LayerNorm.weight"):
            weights[name] = weights[name].clone()
            weights[name][5] *= 30
    far = model._replace(encoder=model.encoder._replace(weights=weights))
    reach = torch.full((SHAPE.hidden,), 3.0)
    reach[5] *= 30
    layers = range(SHAPE.n_layers)
    reaches = {(layer, linear): reach for layer in layers for linear in ("query", "up")}
    reaches |= {(layer, "attended"): torch.full((SHAPE.hidden,), 3.0) for layer in layers}
    return far._replace(reaches=reaches)


def test_levelled_weights_compute_the_same_and_int8_loses_less_with_them() -> None:
    far = with_a_far_channel(MODEL)
    expected = reference(far, POSTS)
    assert run(Fp32Engine(far), POSTS) == pytest.approx(expected, abs=0.02)
    assert run(Fp32Engine(*levelled(far)), POSTS) == pytest.approx(expected, abs=0.02)
    error = np.abs(run(Int8Engine(far), POSTS) - expected).mean()
    unlevelled = np.abs(run(Int8Engine(far._replace(reaches={})), POSTS) - expected).mean()
    assert error < 0.7 * unlevelled


@pytest.mark.parametrize("kind", [Int8Engine, FusedInt8Engine])
def test_every_way_to_multiply_gives_the_same_bits(kind: type[Int8Engine]) -> None:
    found = {name: run(kind(MODEL, way), POSTS) for name, way in WAYS.items()}
    assert found["floats"] == pytest.approx(reference(MODEL, POSTS), abs=0.25)
    for own in found.values():
        assert np.array_equal(own, found["floats"])
    assert np.array_equal(run(kind(MODEL), POSTS), found["floats"])


def test_engines_that_are_not_there_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EngineUnavailable, match="called 'int4'; there are: auto, fp32, int8"):
        engine_name("int4")
    with pytest.raises(EngineUnavailable, match="needs an NVIDIA GPU"):
        engine_name("cuda-bf16")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert engine_name("auto") == engine_name("cuda-bf16") == "cuda-bf16"


def test_auto_is_int8_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert engine_name("auto") == engine_name("int8") == "int8"


def test_an_error_in_a_thread_is_raised_where_it_is_waited_for() -> None:
    class Broken:
        name, grid = "broken", Fp32Engine.grid

        def logits(self, ids: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("no memory")

    runner = Runner(Broken(), 1)
    with pytest.raises(RuntimeError, match="no memory"):
        runner.finish(runner.start(POSTS[:3]))


def test_other_threads_keep_their_number_of_cores() -> None:
    usual = torch.get_num_threads()
    run(Fp32Engine(MODEL), POSTS[:20], n_threads=2)
    assert torch.get_num_threads() == usual


@pytest.fixture
def gpu() -> Iterator[Engine]:
    if not torch.cuda.is_available():
        pytest.skip("needs CUDA: torch sees no GPU")
    yield ENGINES["cuda-bf16"](MODEL)


@pytest.mark.gpu
def test_the_gpu_gives_the_same_bits_in_whatever_company(gpu: Engine) -> None:
    together = run(gpu, POSTS)
    assert together == pytest.approx(reference(MODEL, POSTS), abs=0.2)
    order = random.Random(3).sample(range(len(POSTS)), len(POSTS))
    assert np.array_equal(run(gpu, [POSTS[i] for i in order]), together[order])
    alone = np.concatenate([run(gpu, [own]) for own in POSTS[:40]])
    assert np.array_equal(alone, together[:40])
