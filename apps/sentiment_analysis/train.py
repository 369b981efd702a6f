"""Train: `python -m apps.sentiment_analysis.train --variant sst2_bag_of_words --data SST2_OR_YOUR_CSV`."""

from apps.sentiment_analysis.task import TASK
from shared.runtime.train import main

if __name__ == "__main__":
    main(TASK)
