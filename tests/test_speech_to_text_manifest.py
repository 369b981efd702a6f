"""Reading recordings with transcripts: splits, speakers, and every problem by file and line."""

from __future__ import annotations

import numpy as np
import pytest

from apps.speech_to_text.contract_cases import write_wav
from shared.data.audio_manifest import Utterance, complete_splits, load_audio_manifest, speakers_in_two_splits
from shared.files.errors import DataError


def write(folder, rows, name="metadata.tsv", files=()):
    for file in files:
        write_wav(folder / file, np.zeros(1600))
    (folder / name).write_text("\n".join(rows) + "\n", encoding="utf-8")


def test_own_folder_with_splits(tmp_path):
    rows = [
        "file\tsplit\tspeaker\ttext",
        "a.wav\ttrain\tA\thello there",
        "b.wav\tdev\tB\tyes",
        "c.wav\ttest\tC\tno",
    ]
    write(tmp_path, rows, files=("a.wav", "b.wav", "c.wav"))
    splits = load_audio_manifest(tmp_path)
    assert [u.text for u in splits.train] == ["hello there"]
    assert [u.speaker for u in splits.validation] == ["B"]
    assert len(splits.test[0].read()) == 1600


def test_csv_with_quotes_and_no_splits(tmp_path):
    files = [f"{i}.wav" for i in range(20)]
    write(tmp_path, ["file,text", *(f'{f},"well, yes"' for f in files)], "metadata.csv", files)
    splits = load_audio_manifest(tmp_path)
    sizes = [len(splits.train), len(splits.validation), len(splits.test)]
    assert sizes == [16, 2, 2]
    assert splits.train[0].text == "well, yes"
    assert any("single recordings" in note for note in splits.notes)
    names = {u.source for s in (splits.train, splits.validation, splits.test) for u in s}
    assert len(names) == 20


def test_every_problem_is_named_by_line(tmp_path):
    rows = [
        "file\tsplit\ttext",
        "a.wav\ttrain\thello",
        "gone.wav\ttrain\thi",
        "a.wav\ttrain\tagain",
        "b.wav\ttrial\tx",
    ]
    rows += ["c.wav\ttest\t ", "\ttest\tx"]
    write(tmp_path, rows, files=("a.wav", "b.wav", "c.wav"))
    with pytest.raises(DataError) as error:
        load_audio_manifest(tmp_path)
    text = str(error.value)
    for part in (
        ":3: file 'gone.wav' does not exist",
        ":4: file 'a.wav' stands in line 2",
        ":5: split must be",
    ):
        assert part in text
    for part in (":6: text of 'c.wav' is empty", ":7: file is empty"):
        assert part in text


def test_missing_manifest_and_columns(tmp_path):
    with pytest.raises(DataError, match=r"no metadata\.tsv"):
        load_audio_manifest(tmp_path)
    write(tmp_path, ["path\twords", "a\tb"])
    with pytest.raises(DataError, match="no column file, text"):
        load_audio_manifest(tmp_path)


def people(count: int, each: int = 10) -> list[Utterance]:
    return [Utterance("x", f"s{p}", f"{p}-{i}") for p in range(count) for i in range(each)]


@pytest.mark.parametrize("count", [3, 10, 40])
def test_drawn_splits_share_no_speaker(count):
    splits = complete_splits({"train": people(count)})
    named = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    assert all(named.values())
    assert not speakers_in_two_splits(named)
    assert sum(map(len, named.values())) == 10 * count
    again = complete_splits({"train": people(count)[::-1]})
    assert {u.source for u in again.test} == {u.source for u in splits.test}


def test_a_speaker_in_two_splits_is_refused_unless_asked_for():
    found = {"train": people(3), "test": people(1, 2)}
    with pytest.raises(DataError, match="speaker 's0' stands in train and test"):
        complete_splits(found)
    splits = complete_splits(found, share_speakers=True)
    assert len(splits.test) == 2
    assert any("nothing about new voices" in note for note in splits.notes)
