"""EfficientNet-Lite0 in plain NumPy, straight from the PyTorch tensors: the reference of the conversion."""

import numpy as np

STACKS = [(3, 1, 1, 1), (3, 2, 6, 2), (5, 2, 6, 2), (3, 2, 6, 3), (5, 1, 6, 3), (5, 2, 6, 4), (3, 1, 6, 1)]
"""Kernel size, stride, expansion, repeats of each stack (table 1 of the paper)."""


def _convolve(x: np.ndarray, kernel: np.ndarray, stride: int = 1, groups: int = 1) -> np.ndarray:
    """Convolution of `(height, width, channels)` by `(out, in, k, k)`, padded as TensorFlow's SAME."""
    k = kernel.shape[-1]
    pads = []
    for size in x.shape[:2]:
        total = max((-(-size // stride) - 1) * stride + k - size, 0)
        pads.append((total // 2, total - total // 2))
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, [*pads, (0, 0)]), (k, k), axis=(0, 1))
    windows = windows[::stride, ::stride]
    if groups > 1:
        return np.einsum("hwcij,cij->hwc", windows, kernel[:, 0])
    return np.einsum("hwcij,ocij->hwo", windows, kernel, optimize=True)


def forward(tensors: dict[str, np.ndarray], image: np.ndarray) -> np.ndarray:
    """Logits `(1000,)` of one normalized image `(height, width, 3)`, in float64."""
    t = {name: array.astype(np.float64) for name, array in tensors.items()}

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        scale = t[f"{name}.weight"] / np.sqrt(t[f"{name}.running_var"] + 1e-3)
        return (x - t[f"{name}.running_mean"]) * scale + t[f"{name}.bias"]

    def relu6(x: np.ndarray) -> np.ndarray:
        return np.clip(x, 0, 6)

    x = relu6(norm(_convolve(image, t["_conv_stem.weight"], 2), "_bn0"))
    index = 0
    for kernel_size, first_stride, expansion, repeats in STACKS:
        for repeat in range(repeats):
            prefix, stride, block_input = f"_blocks.{index}", first_stride if repeat == 0 else 1, x
            if expansion > 1:
                x = relu6(norm(_convolve(x, t[f"{prefix}._expand_conv.weight"]), f"{prefix}._bn0"))
            depthwise = t[f"{prefix}._depthwise_conv.weight"]
            assert depthwise.shape[-1] == kernel_size
            x = relu6(norm(_convolve(x, depthwise, stride, groups=x.shape[-1]), f"{prefix}._bn1"))
            x = norm(_convolve(x, t[f"{prefix}._project_conv.weight"]), f"{prefix}._bn2")
            if repeat:
                x = x + block_input
            index += 1
    x = relu6(norm(_convolve(x, t["_conv_head.weight"]), "_bn1"))
    return t["_fc.weight"] @ x.mean(axis=(0, 1)) + t["_fc.bias"]
