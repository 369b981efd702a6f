"""Train: `python -m apps.segmentation.train --variant road_scenes --data CAMVID_OR_YOUR_FOLDER`."""

from apps.segmentation.task import TASK
from shared.runtime.train import main

if __name__ == "__main__":
    main(TASK)
