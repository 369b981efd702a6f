"""`python -m apps.recommendation.export`; see README.md."""

from apps.recommendation.task import TASK
from shared.runtime.export import main

if __name__ == "__main__":
    main(TASK)
