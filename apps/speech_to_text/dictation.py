"""Live dictation: what has settled stays, what may still change is shown as such.

A window of the last seconds is recognized again and again; words that two answers in a row agree on are
settled (LocalAgreement-2, https://arxiv.org/abs/2307.14743), and sound behind a settled pause is let go.
"""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Callable, Sequence

import numpy as np

from shared.results import Transcript, Word

SAMPLE_RATE_HZ = 16_000
MIN_NEW_S = 0.9
"""New sound between two answers."""
LONGEST_WAIT_S = 6.0
KEEP_S = 14.0
"""Longer than this, the window lets its settled beginning go."""
LONGEST_S = 28.0
MAX_SESSION_S = 1800.0

Recognize = Callable[[np.ndarray], Transcript]


@dataclasses.dataclass(frozen=True)
class Dictation:
    """State of one dictation; immutable, so that a page can keep it.

    Attributes:
        audio: Sound that is still recognized anew, `(samples,)` float32 at 16 kHz.
        start_s: Where that sound begins in the session.
        settled: Words that do not change any more, with times in the session.
        partial: Words that still may.
        unheard_s: New sound since the last answer.
        cost_s: What the last answer took. The next one waits for as much new sound, so that a slow machine
            answers less often instead of falling behind.
    """

    audio: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.float32))
    start_s: float = 0.0
    settled: tuple[Word, ...] = ()
    partial: tuple[Word, ...] = ()
    unheard_s: float = 0.0
    cost_s: float = 0.0

    @property
    def duration_s(self) -> float:
        """Sound heard so far."""
        return self.start_s + len(self.audio) / SAMPLE_RATE_HZ

    @property
    def text(self) -> str:
        """Everything, settled or not."""
        return " ".join(w.text for w in (*self.settled, *self.partial))

    def hear(self, chunk: np.ndarray, recognize: Recognize) -> Dictation:
        """Take new sound; recognize when enough of it is there.

        Args:
            chunk: `(samples,)` float32 at 16 kHz.
            recognize: Audio -> transcript with word times.
        """
        audio = np.concatenate([self.audio, chunk.astype(np.float32)])
        unheard = self.unheard_s + len(chunk) / SAMPLE_RATE_HZ
        state = dataclasses.replace(self, audio=audio, unheard_s=unheard)
        if unheard < max(MIN_NEW_S, min(self.cost_s, LONGEST_WAIT_S)):
            return state
        return state._answer(recognize, last=False)

    def finish(self, recognize: Recognize) -> Dictation:
        """The last answer: all of it is settled."""
        if not len(self.audio):
            return self
        return self._answer(recognize, last=True)

    def _answer(self, recognize: Recognize, *, last: bool) -> Dictation:
        begun = time.monotonic()
        transcript = recognize(self.audio)
        cost = time.monotonic() - begun
        found = [
            dataclasses.replace(w, start_s=w.start_s + self.start_s, end_s=w.end_s + self.start_s)
            for segment in transcript.segments
            for w in segment.words
        ]
        new = self._beyond_settled(found)
        agreed = len(new) if last else _common_prefix(new, self.partial)
        settled = (*self.settled, *new[:agreed])
        state = dataclasses.replace(
            self, settled=settled, partial=tuple(new[agreed:]), unheard_s=0.0, cost_s=cost
        )
        return state._let_go()

    def _beyond_settled(self, found: Sequence[Word]) -> list[Word]:
        """Words after those that are settled already."""
        inside = [w for w in self.settled if w.end_s > self.start_s]
        if not inside:
            return list(found)
        # The window begins with settled words: skip as many as match, and whatever ends before their end.
        count = _common_prefix(found, inside)
        rest = list(found[count:])
        if count < len(inside):
            end = self.settled[-1].end_s
            rest = [w for w in rest if (w.start_s + w.end_s) / 2 > end]
        return rest

    def _let_go(self) -> Dictation:
        """Forget sound whose words are settled once the window is long."""
        length = len(self.audio) / SAMPLE_RATE_HZ
        if length < KEEP_S:
            return self
        cut = self.settled[-1].end_s if self.settled else self.start_s
        settled, partial = self.settled, self.partial
        if length > LONGEST_S and cut <= self.start_s + 1:
            # Two answers never agreed: take the last one as it is.
            settled, partial = (*settled, *partial), ()
            cut = self.duration_s
        samples = round((cut - self.start_s) * SAMPLE_RATE_HZ)
        if samples <= 0:
            return self
        return dataclasses.replace(
            self, audio=self.audio[samples:], start_s=cut, settled=settled, partial=partial
        )


def _plain(word: Word) -> str:
    return re.sub(r"[^\w']+", "", word.text).lower()


def _common_prefix(first: Sequence[Word], second: Sequence[Word]) -> int:
    """Words both begin with, case and punctuation aside."""
    count = 0
    for one, two in zip(first, second, strict=False):
        if _plain(one) != _plain(two):
            break
        count += 1
    return count
