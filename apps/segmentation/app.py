"""The demo alone, as on a Space: `python -m apps.segmentation.app`."""

from apps.segmentation.demo import build_demo
from shared.demo.launch import launch

if __name__ == "__main__":
    launch("segmentation", build_demo)
