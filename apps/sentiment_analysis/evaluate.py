"""Score a published model: `python -m apps.sentiment_analysis.evaluate --variant sst2_minilm --data SST2`."""

from apps.sentiment_analysis.task import TASK
from shared.runtime.evaluate import main

if __name__ == "__main__":
    main(TASK)
