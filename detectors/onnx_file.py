"""An encoder with its head as an ONNX file, written without the package onnx.

    input_ids, attention_mask   int64 (texts, tokens), both sizes free
    wide                        float32 (texts,), where the model has a wide part: what
                                `detectors.wide.WidePart.logit` gives, which no encoder computes
    logits                      float32 (texts, 2), in the order of LABELS
    score                       float32 (texts,), the calibrated probability of likely_false

PyTorch's exporter needs further packages; the graph of an encoder is known, and the format is
protobuf, of which a dozen message fields are enough. Operators: opset 17.
Source: github.com/onnx/onnx, onnx.proto; protobuf.dev, "Encoding".
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from detectors.encoder import linear_name
from detectors.text.normalise import words
from detectors.trained import Calibration
from detectors.wide import WIDE

if TYPE_CHECKING:
    from detectors.runtime import Model

OPSET, IR_VERSION = 17, 8
#: A message of protobuf is at most so long.
MAX_BYTES = 2**31 - 1
INPUTS = ("input_ids", "attention_mask")
WIDE_INPUT = "wide"

_FLOAT, _INT64 = 1, 7
#: What a place without a token gets before the softmax: nothing is left of it behind it.
_NEVER = -1e9


def varint(value: int) -> bytes:
    r"""A whole number as protobuf has it: seven bits a byte, the lowest first; of one below zero
    the 64 bits of its two's complement.

    >>> varint(300), len(varint(-1))
    (b'\xac\x02', 10)
    """
    value &= 2**64 - 1
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def field(number: int, value: int | float | str | bytes) -> bytes:
    r"""A field of a message: a whole number, a float32, or bytes with their length before them.

    >>> field(1, 150), field(2, "ab"), field(2, 0.5)
    (b'\x08\x96\x01', b'\x12\x02ab', b'\x15\x00\x00\x00?')
    """
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    held = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(held)) + held


def message(*fields: tuple[int, int | float | str | bytes]) -> bytes:
    """A message of these fields."""
    return b"".join(field(number, value) for number, value in fields)


def tensor(name: str, array: NDArray[Any]) -> bytes:
    """TensorProto of a float or whole-number array."""
    kind, dtype = (_FLOAT, "<f4") if array.dtype.kind == "f" else (_INT64, "<i8")
    return message(
        *((1, size) for size in array.shape),
        (2, kind),
        (8, name),
        (9, np.ascontiguousarray(array, dtype=dtype).tobytes()),
    )


def value_info(name: str, kind: int, sizes: Sequence[str | int]) -> bytes:
    """ValueInfoProto: an input or output with its sizes, a free one by name."""
    dims = [(1, message((2, size) if isinstance(size, str) else (1, size))) for size in sizes]
    return message((1, name), (2, message((1, message((1, kind), (2, message(*dims)))))))


def _attribute(name: str, value: int | float | Sequence[int]) -> bytes:
    if isinstance(value, float):
        return message((1, name), (2, value), (20, 1))
    if isinstance(value, int):
        return message((1, name), (3, value), (20, 2))
    return message((1, name), *((8, one) for one in value), (20, 7))


class _Graph:
    """Nodes and constants as they come; each result has a name of its own."""

    def __init__(self) -> None:
        self.nodes: list[bytes] = []
        self.constants: list[bytes] = []

    def constant(self, name: str, values: Any) -> str:
        self.constants.append(tensor(name, np.asarray(values)))
        return name

    def node(
        self,
        operator: str,
        *inputs: str,
        result: str = "",
        **attributes: int | float | Sequence[int],
    ) -> str:
        output = result or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(
            message(
                *((1, name) for name in inputs),
                (2, output),
                (4, operator),
                *((5, _attribute(name, value)) for name, value in attributes.items()),
            )
        )
        return output


def graph_of(model: Model, calibration: Calibration, has_wide: bool) -> bytes:
    """GraphProto of the whole computation: embeddings, layers, head, the sum with the wide part
    if there is one, calibration."""
    graph, shape = _Graph(), model.encoder.shape
    w = {name: held.detach().numpy() for name, held in model.encoder.weights.items()}
    width = shape.hidden // shape.n_heads
    for name, value in (("one", 1.0), ("half", 0.5), ("never", _NEVER), ("root_two", sqrt(2))):
        graph.constant(name, np.float32(value))
    graph.constant("scale", np.float32(1 / sqrt(width)))
    for name, numbers in (
        *(("from", [0]), ("one_on", [1]), ("two_on", [2]), ("rows", [0]), ("mask_axes", [1, 2])),
        *(("by_head", [0, 0, shape.n_heads, width]), ("together", [0, 0, shape.hidden])),
    ):
        graph.constant(name, np.array(numbers))
    graph.constant("first", np.array(0))

    def normed(x: str, name: str) -> str:
        held = [
            graph.constant(f"{name}.{part}", w[f"{name}.{part}"]) for part in ("weight", "bias")
        ]
        return graph.node("LayerNormalization", x, *held, axis=-1, epsilon=float(shape.epsilon))

    def linear(x: str, layer: int, name: str) -> str:
        full = linear_name(layer, name)
        weight = graph.constant(f"{full}.weight", w[f"{full}.weight"].T)
        bias = graph.constant(f"{full}.bias", w[f"{full}.bias"])
        return graph.node("Add", graph.node("MatMul", x, weight), bias)

    def heads(x: str, *order: int) -> str:
        return graph.node("Transpose", graph.node("Reshape", x, "by_head"), perm=order)

    there = graph.node("Cast", "attention_mask", to=_FLOAT)
    absent = graph.node("Mul", graph.node("Sub", "one", there), "never")
    absent = graph.node("Unsqueeze", absent, "mask_axes")  # (texts, 1, 1, tokens)

    word = "embeddings.word_embeddings.weight"
    placed = w["embeddings.position_embeddings.weight"][shape.first_position :]
    graph.constant("placed", placed + w["embeddings.token_type_embeddings.weight"][0])
    n_tokens = graph.node("Slice", graph.node("Shape", "input_ids"), "one_on", "two_on")
    places = graph.node("Slice", "placed", "from", n_tokens, "rows")
    said = graph.node("Gather", graph.constant(word, w[word]), "input_ids")
    x = normed(graph.node("Add", said, places), "embeddings.LayerNorm")

    for layer in range(shape.n_layers):
        prefix = f"encoder.layer.{layer}"
        asked = graph.node("Mul", heads(linear(x, layer, "query"), 0, 2, 1, 3), "scale")
        fit = graph.node("MatMul", asked, heads(linear(x, layer, "key"), 0, 2, 3, 1))
        shares = graph.node("Softmax", graph.node("Add", fit, absent), axis=-1)
        mixed = graph.node("MatMul", shares, heads(linear(x, layer, "value"), 0, 2, 1, 3))
        mixed = graph.node("Transpose", mixed, perm=(0, 2, 1, 3))
        mixed = linear(graph.node("Reshape", mixed, "together"), layer, "attended")
        x = normed(graph.node("Add", x, mixed), f"{prefix}.attention.output.LayerNorm")
        wide = linear(x, layer, "up")
        risen = graph.node("Add", graph.node("Erf", graph.node("Div", wide, "root_two")), "one")
        wide = graph.node("Mul", graph.node("Mul", wide, "half"), risen)
        x = normed(graph.node("Add", x, linear(wide, layer, "down")), f"{prefix}.output.LayerNorm")

    state = graph.node("Gather", x, "first", axis=1)  # (texts, hidden)
    head = graph.constant("head.weight", model.head_weight.detach().numpy())
    bias = graph.constant("head.bias", model.head_bias.detach().numpy())
    own = graph.node("Gemm", state, head, bias, transB=1, result="" if has_wide else "logits")
    if has_wide:
        graph.constant("column", np.array([1]))
        graph.constant("signs", np.array([[-1.0, 1.0]], dtype=np.float32))
        both = graph.node("Mul", graph.node("Unsqueeze", WIDE_INPUT, "column"), "signs")
        graph.node("Add", own, both, result="logits")
    half = calibration.slope / 2
    graph.constant("contrast", np.array([-half, half], dtype=np.float32))
    graph.constant("offset", np.float32(calibration.offset))
    logit = graph.node("Add", graph.node("MatMul", "logits", "contrast"), "offset")
    graph.node("Sigmoid", logit, result="score")

    sizes: tuple[str | int, ...] = ("texts", "tokens")
    return message(
        *((1, node) for node in graph.nodes),
        (2, "hoaxwatch"),
        *((5, constant) for constant in graph.constants),
        *((11, value_info(name, _INT64, sizes)) for name in INPUTS),
        *([(11, value_info(WIDE_INPUT, _FLOAT, ("texts",)))] if has_wide else []),
        (12, value_info("logits", _FLOAT, ("texts", 2))),
        (12, value_info("score", _FLOAT, ("texts",))),
    )


def onnx_bytes(
    model: Model, calibration: Calibration, has_wide: bool, said: Mapping[str, str]
) -> bytes:
    """The file, with what is said of the model as its metadata. Raises: ValueError where it would
    be longer than the format allows."""
    data = message(
        (1, IR_VERSION),
        (2, "hoaxwatch"),
        (7, graph_of(model, calibration, has_wide)),
        (8, message((1, ""), (2, OPSET))),
        *((14, message((1, key), (2, value))) for key, value in said.items()),
    )
    if len(data) > MAX_BYTES:
        raise ValueError(f"it would have {len(data):,} bytes, an ONNX file at most {MAX_BYTES:,}")
    return data


def export(folder: Path, out: Path) -> dict[str, str]:
    """Writes model.onnx, tokenizer.json, config.json and the wide part of a weights folder of
    `bert` to a folder; what the file says of itself. Raises: DetectorUnusable, ValueError,
    OSError."""
    from detectors.bert import model_version, read_model

    config, model, wide = read_model(folder)
    if config.calibration.knots:
        raise ValueError(
            f"{folder} is calibrated by isotonic regression, which the file does not hold: train "
            "it with --calibration platt"
        )
    said = {
        "detector": "bert",
        "version": model_version(config, "onnx"),
        "labels": ",".join(config.labels),
        "positive_class": config.positive_class,
        "threshold": str(config.threshold),
        "max_tokens": str(config.max_tokens),
        "preprocessing": str(config.preprocessing),
        "encoder": config.encoder.name,
    }
    if wide is not None:
        said["share_of_wide"] = str(wide.share)
    data = onnx_bytes(model, config.calibration, wide is not None, said)
    out.mkdir(parents=True, exist_ok=True)
    (out / "model.onnx").write_bytes(data)
    model.encoder.tokenizer.no_padding()
    model.encoder.tokenizer.enable_truncation(config.max_tokens)
    model.encoder.tokenizer.save(str(out / "tokenizer.json"))
    for name in ("config.json", *([WIDE] if wide is not None else [])):
        (out / name).write_bytes((folder / name).read_bytes())
    return said


#: Of several lengths: what the free sizes and the mask are tried with.
TRIED = ("it is a hoax", "the health office gave its numbers for the week on monday morning", "no")


def greatest_difference(folder: Path, out: Path) -> float | None:
    """How far ONNX Runtime's logits are from ours at most, of TRIED in one padded batch; None where
    onnxruntime is not installed."""
    try:
        import onnxruntime
    except ModuleNotFoundError:
        return None
    import torch

    from detectors.bert import read_model
    from detectors.encoder import cls_states, embed

    config, model, wide = read_model(folder)
    ids = model.encoder.tokenize(TRIED, config.max_tokens)
    table = np.zeros((len(ids), max(map(len, ids))), dtype=np.int64)
    mask = np.zeros_like(table)
    for row, own in enumerate(ids):
        table[row, : len(own)], mask[row, : len(own)] = own, 1
    session = onnxruntime.InferenceSession(
        (out / "model.onnx").read_bytes(), providers=["CPUExecutionProvider"]
    )
    given: dict[str, NDArray[Any]] = dict(zip(INPUTS, (table, mask), strict=True))
    added = np.zeros(len(ids), dtype=np.float32)
    if wide is not None:
        added[:] = [wide.logit(words(text)) for text in TRIED]
        given[WIDE_INPUT] = added
    (found,) = session.run(["logits"], given)
    rows = []
    with torch.no_grad():
        for own in ids:
            state = cls_states(model.encoder, embed(model.encoder, torch.tensor([own])))
            rows.append(state @ model.head_weight.T + model.head_bias)
    ours = torch.cat(rows).numpy() + added[:, None] * np.array([-1, 1], dtype=np.float32)
    return float(np.abs(found - ours).max())
