"""Token numbers and fixed facts of Whisper's English-only models (https://arxiv.org/abs/2212.04356)."""

from __future__ import annotations

SAMPLE_RATE_HZ = 16_000
WINDOW_S = 30
FRAMES_PER_S = 100
"""Log-mel frames: one each 10 ms."""
ENCODED_PER_S = 50
"""Encoder outputs and cross-attention columns: one each 20 ms."""

END = 50_256
START = 50_257
PREVIOUS = 50_360
NO_SPEECH = 50_361
NO_TIMESTAMPS = 50_362
TIMESTAMP_BEGIN = 50_363
"""`<|0.00|>`; each token after it stands for 20 ms more."""
TIMESTAMP_STEP_S = 0.02
VOCABULARY_SIZE = 51_864
MAX_TOKENS = 448
"""Places of the decoder, the prompt included."""

ALIGNMENT_HEADS = ((1, 0), (2, 0), (2, 5), (3, 0), (3, 1), (3, 2), (3, 3), (3, 4))
"""`(layer, head)` of tiny.en whose cross-attention follows the audio, as published with Whisper."""
