"""Speech-to-text: English dictation with Whisper tiny.en, and a small CTC recognizer trained from scratch."""
