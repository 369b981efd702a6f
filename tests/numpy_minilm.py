"""MiniLM-L6 in plain NumPy, straight from the PyTorch tensors: the reference of the conversion."""

import math

import numpy as np

_erf = np.vectorize(math.erf)


def gelu(x: np.ndarray) -> np.ndarray:
    """The exact one, as PyTorch computes it."""
    return 0.5 * x * (1 + _erf(x / math.sqrt(2)))


def gelu_tanh(x: np.ndarray) -> np.ndarray:
    """The approximation of Keras-Hub's BERT."""
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def forward(
    tensors: dict[str, np.ndarray], token_ids: list[int], activation=gelu, heads: int = 12
) -> np.ndarray:
    """Last hidden states `(length, 384)` of one text, in float64 (BERT, https://arxiv.org/abs/1810.04805)."""
    t = {name: array.astype(np.float64) for name, array in tensors.items()}

    def dense(x: np.ndarray, name: str) -> np.ndarray:
        return x @ t[f"{name}.weight"].T + t[f"{name}.bias"]

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return x * t[f"{name}.weight"] + t[f"{name}.bias"]

    def split(x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), heads, -1).transpose(1, 0, 2)

    x = t["embeddings.word_embeddings.weight"][token_ids]
    x = x + t["embeddings.position_embeddings.weight"][: len(x)]
    x = norm(x + t["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    layers = {name.split(".")[2] for name in t if name.startswith("encoder.layer.")}
    for layer in sorted(layers, key=int):
        prefix = f"encoder.layer.{layer}"
        q, k, v = (split(dense(x, f"{prefix}.attention.self.{part}")) for part in ("query", "key", "value"))
        scores = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1])
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        context = (weights @ v).transpose(1, 0, 2).reshape(x.shape)
        x = norm(
            x + dense(context, f"{prefix}.attention.output.dense"), f"{prefix}.attention.output.LayerNorm"
        )
        inner = activation(dense(x, f"{prefix}.intermediate.dense"))
        x = norm(x + dense(inner, f"{prefix}.output.dense"), f"{prefix}.output.LayerNorm")
    return x
