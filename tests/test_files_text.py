"""The text and table boundary, and the reader of labelled texts: what people really paste and upload."""

from __future__ import annotations

import codecs
import random

import pytest

from shared.data.text_table import load_text_splits
from shared.files.errors import DataError, InputError
from shared.files.tables import read_table, write_table
from shared.files.text import clean_text, decode_text, guess_language, read_text


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("  caf\u0065\u0301 \r\n ok ", "café \n ok"),
        ("a\x00b\x07c", "abc"),
        ("family 👨‍👩‍👧 ❤️", "family 👨‍👩‍👧 ❤️"),
        ("\ufefftext", "text"),
        ("abc\u202edcb", "abcdcb"),
        ("lone \ud83d surrogate", "lone  surrogate"),
        ("hello мир 世界", "hello мир 世界"),
    ],
)
def test_text_is_cleaned_but_not_changed(given, wanted):
    assert clean_text(given) == wanted
    clean_text(given).encode("utf-8")


@pytest.mark.parametrize("given", ["", None, "   \n\t", "\x00\x01", "\u202e\ufeff"])
def test_nothing_to_read_is_refused_in_both_languages(given):
    with pytest.raises(InputError) as refused:
        read_text(given)
    assert "sentence" in refused.value.en
    assert "frase" in refused.value.es


def test_a_megabyte_is_refused_with_the_limit_and_a_way_out():
    with pytest.raises(InputError, match=r"1,000,000 characters; at most 100,000.*CSV"):
        read_text("a" * 1_000_000)
    assert len(read_text("a" * 100_000)) == 100_000


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings_of_spreadsheets(encoding):
    content = "text,id\n“Qué película más buena”,1\n".encode(encoding)
    table = read_table(content)
    assert table.columns == ["text", "id"]
    assert table.rows == [["“Qué película más buena”", "1"]]


@pytest.mark.parametrize("content", [bytes(range(256)) * 20, b"\xff\xfe\x00", codecs.BOM_UTF8 + b"\xff\xff"])
def test_what_is_no_text_is_refused(content):
    with pytest.raises(InputError, match="UTF-8"):
        decode_text(content)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters(delimiter):
    lines = [["text", "label"], ["good; bad, ugly | odd\tone", "1"], ["two\nlines", "0"]]
    content = "\n".join(delimiter.join('"' + c + '"' for c in row) for row in lines)
    table = read_table(content.encode())
    assert table.delimiter == delimiter
    assert table.rows == lines[1:]
    assert table.lines == [2, 3]


def test_short_and_long_rows_and_doubled_names():
    table = read_table(b"text,text,\na\n\nb,c,d,e\n")
    assert table.columns == ["text", "text (2)", "column 3", "column 4"]
    assert table.rows == [["a", "", "", ""], ["b", "c", "d", "e"]]
    assert table.lines == [2, 4]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (b"text\n", "one line only"),
        (b"PK\x03\x04rest", "CSV UTF-8"),
        (b"\xd0\xcf\x11\xe0rest", "CSV UTF-8"),
    ],
)
def test_tables_that_are_none(content, message):
    with pytest.raises(InputError, match=message):
        read_table(content)


def test_limits_of_a_table(tmp_path):
    with pytest.raises(InputError, match="more than 3 rows"):
        read_table(b"text\na\nb\nc\nd\ne\n", max_rows=3)
    with pytest.raises(InputError, match="MB are read"):
        read_table(b"text\n" + b"a\n" * 1000, max_bytes=100)
    with pytest.raises(InputError, match="no readable file"):
        read_table(tmp_path / "absent.csv")


def test_a_missing_column_names_those_there_are():
    with pytest.raises(InputError, match="Its columns are: a, b"):
        read_table(b"a,b\n1,2\n").column("text")


def test_written_tables_run_nothing_and_read_back():
    text = write_table(["text"], [["=HYPERLINK(1)"], ["plain"], ["@x"], ['a, "b"\nc']])
    rows = read_table(text.encode("utf-8")).rows
    assert rows == [["'=HYPERLINK(1)"], ["plain"], ["'@x"], ['a, "b"\nc']]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("This film is not what it seems to be.", "en"),
        ("Una película que no te puedes perder, con un final muy bueno.", "es"),
        ("Ce film est une pure merveille, les acteurs sont très bons.", "fr"),
        ("Der Film ist nicht besonders gut, aber die Musik ist schön.", "de"),
        ("Это очень хороший фильм", "other"),
        ("素晴らしい映画でした", "other"),
        ("Great!", ""),
        ("😀😀😀", ""),
        ("", ""),
        ("I saw La Dolce Vita and it was everything I had hoped for.", "en"),
    ],
)
def test_language_is_guessed_only_where_it_shows(text, language):
    assert guess_language(text) == language


# --- Labelled texts ----------------------------------------------------------------------------------------


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return folder


def table_of(count, seed=0, classes=("good", "bad", "so-so")):
    rng = random.Random(seed)
    return "text,label\n" + "".join(
        f"text number {i} {rng.random()},{rng.choice(classes)}\n" for i in range(count)
    )


def test_one_file_is_split_by_class_and_always_alike(tmp_path):
    file = write(tmp_path, data__csv=table_of(300)) / "data.csv"
    first, second = load_text_splits(file, seed=3), load_text_splits(file, seed=3)
    assert first == second
    assert first != load_text_splits(file, seed=4)
    assert first.class_names == ["bad", "good", "so-so"]
    parts = [{e.text for e in getattr(first, s)} for s in ("train", "validation", "test")]
    assert sum(len(p) for p in parts) == 300 == len(set.union(*parts))
    assert 25 <= len(parts[1]) <= 32
    assert 28 <= len(parts[2]) <= 32
    assert {e.label for e in first.test} == set(first.class_names)


def test_a_text_in_two_splits_leaves_the_earlier_one(tmp_path):
    rows = "review\tsentiment\nshared text\tpos\nonly here\tneg\nonly here\tneg\nother\tpos\n"
    test = "review\tsentiment\nShared  TEXT\tpos\nmore\tneg\n"
    splits = load_text_splits(
        write(tmp_path, train__tsv=rows, test__tsv=test, dev__tsv="review\tsentiment\nx\tpos\n")
    )
    assert [e.text for e in splits.train] == ["only here", "other"]
    assert len(splits.test) == 2
    assert any("1 texts of the train split also stand" in n for n in splits.notes)
    assert any("repetitions" in n for n in splits.notes)


def test_folders_of_classes_as_imdb_is(tmp_path):
    for split in ("train", "test"):
        for name in ("neg", "pos"):
            for i in range(6):
                write(tmp_path / split / name, **{f"{i}__txt": f"{split} {name} {i}"})
    splits = load_text_splits(tmp_path)
    assert splits.class_names == ["negative", "positive"]
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (10, 2, 12)


def test_stanford_layout(tmp_path):
    lines = "1 a stirring , funny film .\n0 dull .\n"
    files = {"stsa__binary__train": lines, "stsa__binary__dev": "1 fine\n", "stsa__binary__test": "0 bad\n"}
    splits = load_text_splits(write(tmp_path, **files))
    assert [(e.text, e.label) for e in splits.train] == [
        ("a stirring , funny film .", "positive"),
        ("dull .", "negative"),
    ]


def test_a_split_column(tmp_path):
    rows = "text,label,split\na,x,train\nb,y,train\nc,x,dev\nd,y,test\n"
    splits = load_text_splits(write(tmp_path, all__csv=rows) / "all.csv")
    assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [2, 1, 1]


def test_all_problems_are_named_by_file_and_line(tmp_path):
    rows = "text,label\nfine,pos\n,neg\nno label,\nok,neg\n"
    test = "text,label\nx,unknown\n"
    with pytest.raises(DataError) as error:
        load_text_splits(write(tmp_path, train__csv=rows, test__csv=test))
    assert {"train.csv:3: the text is empty", "train.csv:4: the label is empty"} <= set(error.value.problems)
    assert any("test.csv:2: label 'unknown'" in p for p in error.value.problems)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("comment,stars\na,1\n", "no label column"),
        ("id,label\n1,a\n", "no text column"),
        ("text,label\na,x\nb,x\n", "2 classes or more"),
    ],
)
def test_unusable_tables_say_what_is_missing(tmp_path, rows, message):
    with pytest.raises(DataError, match=message):
        load_text_splits(write(tmp_path, data__csv=rows) / "data.csv")


def test_absent_data_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        load_text_splits(tmp_path / "absent")
