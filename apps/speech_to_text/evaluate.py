"""Score a published recognizer: `python -m apps.speech_to_text.evaluate --variant spoken_digit --data FOLDER`."""

from apps.speech_to_text.task import TASK
from shared.runtime.evaluate import main

if __name__ == "__main__":
    main(TASK)
