"""The demo alone, as on a Space: `python -m apps.object_detection.app`."""

from apps.object_detection.demo import build_demo
from shared.demo.launch import launch

if __name__ == "__main__":
    launch("object_detection", build_demo)
