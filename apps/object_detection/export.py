"""Export a published detector to ONNX again.

python -m apps.object_detection.export --variant blood_cells
"""

from apps.object_detection.task import TASK
from shared.runtime.export import main

if __name__ == "__main__":
    main(TASK)
