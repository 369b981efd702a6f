"""Pretrained backbones that the vision, text and speech apps share.

`from shared.backbones import load_backbone`. Importing this package loads no TensorFlow;
`normalization` and `labels` never do, so that demos share them with training.
"""

from shared.backbones.loading import BACKBONES, backbone_folder, load_backbone

__all__ = ["BACKBONES", "backbone_folder", "load_backbone"]
