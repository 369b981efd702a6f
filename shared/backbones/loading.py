"""`load_backbone`: a pretrained backbone by name, imported from its wheel when it is not here yet."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from shared.backbones.wheels import WheelUnavailableError, fetch_wheel
from shared.runtime.variants import default_models_dir

if TYPE_CHECKING:
    import keras

BACKBONES = ("efficientnet_lite0", "minilm_l6", "whisper_tiny_en")


def backbone_module(name: str) -> ModuleType:
    """The module of one of our backbones: its `WHEEL`, `import_into(folder)` and `load(folder)`."""
    if name not in BACKBONES:
        raise ValueError(f"name must be one of {', '.join(BACKBONES)}, received {name!r}")
    return importlib.import_module(f"shared.backbones.{name}")


def import_backbone(name: str, models_dir: str | Path | None = None, wheel: str | Path | None = None) -> Path:
    """Convert a backbone from its wheel into `<models_dir>/backbones/<name>/`.

    Args:
        name: One of `BACKBONES`.
        models_dir: The repository's `models/` when None.
        wheel: The wheel file, if you already have it; else it comes from the cache or from pip.

    Returns:
        The folder, complete and checked.

    Raises:
        ValueError: The name is unknown, or the wheel is not the pinned one.
        WheelUnavailableError: pip could not get the wheel.
    """
    module = backbone_module(name)
    folder = Path(models_dir or default_models_dir()) / "backbones" / name
    module.import_wheel(fetch_wheel(module.WHEEL, wheel), folder)
    return folder


def backbone_folder(name: str, models_dir: str | Path | None = None) -> Path:
    """Folder of one of our backbones, imported first if it is not there."""
    folder = Path(models_dir or default_models_dir()) / "backbones" / name
    if not (folder / "config.json").is_file():
        print(f"{folder} does not exist yet: importing {name} (once)")
        try:
            import_backbone(name, models_dir)
        except WheelUnavailableError as error:
            raise WheelUnavailableError(
                f"The backbone {name!r} is not in {folder} and could not be imported. {error} "
                f"(python -m shared.backbones.import_pretrained {name} --wheel PATH)"
            ) from error
    return folder


def load_backbone(name_or_preset: str, models_dir: str | Path | None = None) -> keras.Model:
    """Load a pretrained backbone.

    Args:
        name_or_preset: `efficientnet_lite0`, `minilm_l6` or `whisper_tiny_en` (kept in
            `models/backbones/`, imported from the wheel on first use), or anything that
            `keras_hub.models.Backbone.from_preset` takes, such as `resnet_50_imagenet` (needs a network).
        models_dir: The repository's `models/` when None.

    Returns:
        A `keras_hub.models.Backbone`, trainable, float32.

    Raises:
        WheelUnavailableError: One of ours is neither stored nor can its wheel be had.
        ValueError: Keras-Hub does not know the preset or could not download it.
    """
    import keras_hub

    if name_or_preset in BACKBONES:
        return keras_hub.models.Backbone.from_preset(str(backbone_folder(name_or_preset, models_dir)))
    try:
        return keras_hub.models.Backbone.from_preset(name_or_preset)
    except Exception as error:
        # Kaggle, Hugging Face and the file system each raise their own errors here.
        reason = str(error).strip().splitlines()
        raise ValueError(
            f"backbone must be one of {', '.join(BACKBONES)} or a Keras-Hub preset that can be downloaded "
            f"from here, received {name_or_preset!r} ({type(error).__name__}: {reason[0] if reason else ''})"
        ) from error
