"""Train, measure and publish a detector.

python -m apps.object_detection.train --variant blood_cells --data PATH/TO/BCCD
python -m apps.object_detection.train --variant mine --data PATH/TO/YOUR/FOLDER
"""

from apps.object_detection.task import TASK
from shared.runtime.train import main

if __name__ == "__main__":
    main(TASK)
