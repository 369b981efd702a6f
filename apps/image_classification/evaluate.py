"""Score a published classifier: `python -m apps.image_classification.evaluate --variant clothing --data PATH`."""

from apps.image_classification.task import TASK
from shared.runtime.evaluate import main

if __name__ == "__main__":
    main(TASK)
