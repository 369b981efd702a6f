"""Score a published detector again on the test split.

python -m apps.object_detection.evaluate --variant blood_cells --data PATH/TO/BCCD
"""

from apps.object_detection.task import TASK
from shared.runtime.evaluate import main

if __name__ == "__main__":
    main(TASK)
