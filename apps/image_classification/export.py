"""Export a published classifier again: `python -m apps.image_classification.export --variant clothing`."""

from apps.image_classification.task import TASK
from shared.runtime.export import main

if __name__ == "__main__":
    main(TASK)
