"""Export again from the stored Keras model: `python -m apps.segmentation.export --variant road_scenes`."""

import shared.layers  # noqa: F401  (registers the layers of the stored model)
from apps.segmentation.task import TASK
from shared.runtime.export import main

if __name__ == "__main__":
    main(TASK)
