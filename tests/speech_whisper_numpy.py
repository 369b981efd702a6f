"""Whisper's forward pass in NumPy, straight from the CTranslate2 variables: what the conversion is held to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import erf

HEADS = 6
LAYERS = 4


def gelu(x: np.ndarray) -> np.ndarray:
    return x * 0.5 * (1 + erf(x / np.sqrt(2)))


class NumpyWhisper:
    """`variables` as `read_ctranslate2` returns them; computes in float64."""

    def __init__(self, variables: Mapping[str, np.ndarray]):
        self.variables = {k: v.astype(np.float64) for k, v in variables.items()}

    def norm(self, x: np.ndarray, name: str) -> np.ndarray:
        mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        gamma, beta = self.variables[f"{name}/gamma"], self.variables[f"{name}/beta"]
        return (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta

    def linear(self, x: np.ndarray, name: str) -> np.ndarray:
        return x @ self.variables[f"{name}/weight"].T + self.variables[f"{name}/bias"]

    def attend(self, q: np.ndarray, k: np.ndarray, v: np.ndarray, causal: bool) -> np.ndarray:
        split = [x.reshape(len(x), HEADS, -1).transpose(1, 0, 2) for x in (q, k, v)]
        scores = split[0] @ split[1].transpose(0, 2, 1) / np.sqrt(split[0].shape[-1])
        if causal:
            scores = np.where(np.tri(len(q), dtype=bool), scores, -np.inf)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        return (weights @ split[2]).transpose(1, 0, 2).reshape(len(q), -1)

    def self_attention(self, x: np.ndarray, name: str, causal: bool) -> np.ndarray:
        fused = self.linear(self.norm(x, f"{name}/layer_norm"), f"{name}/linear_0")
        return x + self.linear(self.attend(*np.split(fused, 3, axis=-1), causal), f"{name}/linear_1")

    def feed_forward(self, x: np.ndarray, name: str) -> np.ndarray:
        hidden = gelu(self.linear(self.norm(x, f"{name}/layer_norm"), f"{name}/linear_0"))
        return x + self.linear(hidden, f"{name}/linear_1")

    def conv(self, x: np.ndarray, name: str, stride: int) -> np.ndarray:
        kernel = self.variables[f"{name}/weight"]
        padded = np.pad(x, ((1, 1), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, 3, axis=0)[::stride]
        return gelu(np.einsum("fiw,oiw->fo", windows, kernel, optimize=True) + self.variables[f"{name}/bias"])

    def encode(self, features: np.ndarray) -> np.ndarray:
        """`(frames, 80)` -> `(frames / 2, 384)`."""
        x = self.conv(self.conv(features.astype(np.float64), "encoder/conv1", 1), "encoder/conv2", 2)
        x = x + self.variables["encoder/position_encodings/encodings"][: len(x)]
        for layer in range(LAYERS):
            x = self.self_attention(x, f"encoder/layer_{layer}/self_attention", causal=False)
            x = self.feed_forward(x, f"encoder/layer_{layer}/ffn")
        return self.norm(x, "encoder/layer_norm")

    def decode(self, tokens: np.ndarray, encoded: np.ndarray) -> np.ndarray:
        """`(tokens,)` and `(frames, 384)` -> `(tokens, 384)`."""
        x = self.variables["decoder/embeddings/weight"][tokens]
        x = x + self.variables["decoder/position_encodings/encodings"][: len(x)]
        for layer in range(LAYERS):
            x = self.self_attention(x, f"decoder/layer_{layer}/self_attention", causal=True)
            name = f"decoder/layer_{layer}/attention"
            query = self.linear(self.norm(x, f"{name}/layer_norm"), f"{name}/linear_0")
            key, value = np.split(self.linear(encoded, f"{name}/linear_1"), 2, axis=-1)
            x = x + self.linear(self.attend(query, key, value, False), f"{name}/linear_2")
            x = self.feed_forward(x, f"decoder/layer_{layer}/ffn")
        return self.norm(x, "decoder/layer_norm")
