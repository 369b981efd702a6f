"""Names of the 1,000 ImageNet classes, without TensorFlow.

`imagenet_labels.txt`: one English name a line, in the order of the logits (sorted WordNet ids). Source:
`gradio/media_assets/data/imagenet_labels.json` of gradio 6.31 (Apache-2.0), with two misspelt and two
misleading names (219, 442, 638, 639) set to those of WordNet.
"""

from __future__ import annotations

from pathlib import Path

IMAGENET_LABELS_FILE = Path(__file__).with_name("imagenet_labels.txt")


def imagenet_labels() -> list[str]:
    """The 1,000 distinct class names; index is the class of the logits."""
    return IMAGENET_LABELS_FILE.read_text(encoding="utf-8").splitlines()
