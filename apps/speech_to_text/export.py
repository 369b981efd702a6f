"""Export a published recognizer again: `python -m apps.speech_to_text.export --variant spoken_digit`."""

from apps.speech_to_text.task import TASK
from shared.runtime.export import main

if __name__ == "__main__":
    main(TASK)
