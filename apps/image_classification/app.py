"""The demo alone, as on a Space: `python -m apps.image_classification.app`."""

from apps.image_classification.demo import build_demo
from shared.demo.launch import launch

if __name__ == "__main__":
    launch("image_classification", build_demo)
