"""Export again from the stored Keras model: `python -m apps.sentiment_analysis.export --variant sst2_bigru`."""

from apps.sentiment_analysis.task import TASK
from shared.runtime.export import main

if __name__ == "__main__":
    main(TASK)
