"""Score a published detector again on the test split, or any Keras-Hub detector on your own data.

python -m apps.object_detection.evaluate --variant blood_cells --data PATH/TO/BCCD
python -m apps.object_detection.evaluate --preset dfine_nano_coco --data PATH/TO/YOUR/FOLDER
"""

import sys

from apps.object_detection.task import TASK
from shared.runtime.evaluate import main

if __name__ == "__main__":
    if any(word.partition("=")[0] == "--preset" for word in sys.argv[1:]):
        from apps.object_detection.score_preset import main as main_preset

        main_preset(sys.argv[1:])
    else:
        main(TASK)
