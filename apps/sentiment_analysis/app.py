"""Entry point of the Space: `python -m apps.sentiment_analysis.app`."""

from apps.sentiment_analysis.demo import build_demo
from shared.demo.launch import launch

if __name__ == "__main__":
    launch("sentiment_analysis", build_demo)
