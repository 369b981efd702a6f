"""Refused input: what was wrong and what would work, in English and Spanish."""

from __future__ import annotations


class InputError(ValueError):
    """Input that cannot be used.

    Args:
        en: What was wrong and what would work, in English.
        es: The same in Spanish.
    """

    def __init__(self, en: str, es: str):
        super().__init__(en)
        self.en = en
        self.es = es

    def message(self, language: str = "en") -> str:
        """The text in `en` or `es`; English for any other language."""
        return self.es if language.startswith("es") else self.en


class DataError(ValueError):
    """Problems of a data set, all of them, each named by file and line.

    Args:
        problems: One line a problem.
        hint: What a right data set looks like.
    """

    SHOWN = 50

    def __init__(self, problems: list[str], hint: str = ""):
        self.problems = list(problems)
        lines = [f"{len(problems)} problem(s) in the data:"]
        lines += [f"  {p}" for p in self.problems[: self.SHOWN]]
        if len(self.problems) > self.SHOWN:
            lines.append(f"  ... and {len(self.problems) - self.SHOWN} more")
        if hint:
            lines.append(hint)
        super().__init__("\n".join(lines))
