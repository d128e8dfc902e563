"""A small encoder with random weights, for tests that need one and not the real one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

TINY = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 66,
}
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    *[
        "the",
        "moon",
        "is",
        "made",
        "of",
        "cheese",
        "not",
        "a",
        "hoax",
        "cure",
        "miracle",
        "official",
        "data",
    ],
]


def save_tiny(folder: Path, family: str = "bert", **changes: object) -> Path:
    """A small encoder with random weights and a tokenizer of a few words, as transformers saves."""
    torch.manual_seed(5)
    settings = TINY | ({} if family == "bert" else {"pad_token_id": 1}) | changes
    config = AutoConfig.for_model(family, **settings)
    made: Any = AutoModel
    model = made.from_config(config, add_pooling_layer=False)
    with torch.no_grad():  # biases and norms are trivial in a new model
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    model.save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    fast: Any = PreTrainedTokenizerFast
    fast(tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]").save_pretrained(folder)
    return folder
