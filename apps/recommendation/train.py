"""`python -m apps.recommendation.train`; see README.md."""

from apps.recommendation.task import TASK
from shared.runtime.train import main

if __name__ == "__main__":
    main(TASK)
