"""Train and publish a classifier: `python -m apps.image_classification.train --variant clothing --data PATH`."""

from apps.image_classification.task import TASK
from shared.runtime.train import main

if __name__ == "__main__":
    main(TASK)
