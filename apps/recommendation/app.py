"""Entry point of the Space: `python -m apps.recommendation.app`."""

from apps.recommendation.demo import build_demo
from shared.demo.launch import launch

if __name__ == "__main__":
    launch("recommendation", build_demo)
