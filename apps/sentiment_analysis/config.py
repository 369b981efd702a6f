"""Options of sentiment analysis and its shipped variants.

    python -m apps.sentiment_analysis.train --variant sst2_minilm --data SST2 --intermediate IMDB
    python -m apps.sentiment_analysis.train --variant sst2_bigru --data SST2 --intermediate IMDB
    python -m apps.sentiment_analysis.train --variant sst2_bag_of_words --data SST2 --intermediate IMDB

Without `--intermediate` training starts at SST-2 itself. Results: README.md.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

from shared.config import TrainConfig

Model = Literal["bag_of_words", "bigru", "minilm"]


@dataclasses.dataclass(frozen=True)
class SentimentConfig(TrainConfig):
    """Options of `python -m apps.sentiment_analysis.train`.

    Attributes:
        model: `bag_of_words` (hashed word pairs, feed-forward), `bigru` (recurrent) or `minilm` (transformer).
        sequence_length: Most tokens the model reads at once; longer texts are read in windows.
        pieces: What training sees of a text longer than that: `head_tail` (its first and last window) or
            `windows` (all of them). Answers always come from all windows.
        snippet_words: Most words of a snippet of the intermediate data.
        telling_share: Share of its texts of which the most telling sentence is taken; of the others the end.
        dropout: Share of activations dropped before the classifier (and of word vectors in `bigru`).
        word_dropout: Share of tokens hidden in training; makes the model look at more than one word.
        layer_decay: Each layer below the classifier learns this much slower than the one above; 1 for none.
        warmup: Share of the steps in which the learning rate rises to its peak.
        intermediate: Path of a larger data set with the same class names to learn from first, as short snippets
            (https://arxiv.org/abs/1811.01088); empty for none.
        intermediate_epochs: Passes over it.
        intermediate_limit: Use at most this many of its texts; 0 uses all.
        intermediate_learning_rate: Peak learning rate there; the ordinary one when 0.
        backbone: Pretrained encoder of `minilm`; its word vectors also start `bigru`.
        embedding_dim: Size of a word vector of `bag_of_words` and `bigru`.
        units: Size of the recurrent state (each direction) or of the hidden layer.
        hash_buckets: Rows of the table that words and word pairs are hashed into, in `bag_of_words`.
    """

    model: Model = "minilm"
    sequence_length: int = 64
    pieces: Literal["head_tail", "windows"] = "head_tail"
    snippet_words: int = 40
    telling_share: float = 0.85
    dropout: float = 0.1
    word_dropout: float = 0.0
    layer_decay: float = 1.0
    warmup: float = 0.1
    intermediate: str = ""
    intermediate_epochs: int = 1
    intermediate_limit: int = 0
    intermediate_learning_rate: float = 0.0
    backbone: str = "minilm_l6"
    embedding_dim: int = 128
    units: int = 128
    hash_buckets: int = 2**17

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 8 <= self.sequence_length <= 512:
            raise ValueError(f"sequence_length must be 8 to 512, received {self.sequence_length}")
        for name in ("dropout", "word_dropout", "warmup"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), received {getattr(self, name)}")
        if not 0 < self.layer_decay <= 1:
            raise ValueError(f"layer_decay must be in (0, 1], received {self.layer_decay}")
        if self.hash_buckets < 4:
            raise ValueError(f"hash_buckets must be 4 or more, received {self.hash_buckets}")


VARIANTS: dict[str, SentimentConfig] = {
    config.variant: config
    for config in (
        SentimentConfig(
            variant="sst2_minilm",
            model="minilm",
            epochs=3,
            intermediate_limit=20_000,
            intermediate_learning_rate=8e-5,
            learning_rate=6e-5,
            weight_decay=0.01,
            layer_decay=0.9,
            storage="int8",
        ),
        SentimentConfig(
            variant="sst2_bigru",
            model="bigru",
            embedding_dim=96,
            epochs=10,
            batch_size=64,
            intermediate_limit=20_000,
            intermediate_epochs=2,
            intermediate_learning_rate=2e-3,
            learning_rate=5e-4,
            weight_decay=0.01,
            dropout=0.4,
            word_dropout=0.1,
            early_stopping_patience=4,
            storage="int8",
        ),
        SentimentConfig(
            variant="sst2_bag_of_words",
            model="bag_of_words",
            sequence_length=512,
            epochs=20,
            batch_size=64,
            intermediate_epochs=3,
            intermediate_learning_rate=2e-3,
            telling_share=0.0,
            snippet_words=100,
            learning_rate=1e-3,
            weight_decay=0.05,
            embedding_dim=16,
            units=64,
            dropout=0.5,
            word_dropout=0.2,
            early_stopping_patience=5,
            storage="int8",
        ),
        SentimentConfig(
            variant="imdb_minilm",
            model="minilm",
            sequence_length=128,
            pieces="head_tail",
            epochs=2,
            learning_rate=5e-5,
            weight_decay=0.01,
            layer_decay=0.9,
            storage="int8",
        ),
    )
}
