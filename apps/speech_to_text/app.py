"""The demo alone, as on a Space: `python -m apps.speech_to_text.app`."""

from apps.speech_to_text.demo import build_demo
from shared.demo.launch import launch

if __name__ == "__main__":
    launch("speech_to_text", build_demo)
