"""Score a published model: `python -m apps.segmentation.evaluate --variant road_scenes --data CAMVID`."""

from apps.segmentation.task import TASK
from shared.runtime.evaluate import main

if __name__ == "__main__":
    main(TASK)
