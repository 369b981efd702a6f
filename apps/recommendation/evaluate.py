"""`python -m apps.recommendation.evaluate`; see README.md."""

from apps.recommendation.task import TASK
from shared.runtime.evaluate import main

if __name__ == "__main__":
    main(TASK)
