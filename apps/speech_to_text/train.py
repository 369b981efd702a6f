"""Train a recognizer: `python -m apps.speech_to_text.train --variant spoken_digit --data FOLDER`."""

from apps.speech_to_text.task import TASK
from shared.runtime.train import main

if __name__ == "__main__":
    main(TASK)
