"""Your own folder of pictures: layouts, seeded splits, and every problem named."""

import numpy as np
import pytest
from PIL import Image

from shared.data.image_folder import find_leaks, read_image_folder
from shared.files.errors import DataError


def write(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)
    Image.fromarray(noise).save(path)


@pytest.fixture
def flat(tmp_path):
    for number in range(20):
        write(tmp_path / "cat" / f"{number}.png", number)
        write(tmp_path / "dog" / f"{number}.png", 100 + number)
    return tmp_path


def names(splits, split):
    return {image.name for image in splits[split]}


def test_given_splits_are_kept(tmp_path):
    for seed, split in enumerate(("train", "val", "test")):
        for label, name in enumerate(("b", "a")):
            write(tmp_path / split / name / "x.png", 10 * seed + label)
    splits, classes, remarks = read_image_folder(tmp_path)
    assert classes == ["a", "b"]
    assert not remarks
    assert [i.name for i in splits["validation"]] == ["val/a/x.png", "val/b/x.png"]
    assert [i.label for i in splits["test"]] == [0, 1]
    assert splits["train"][0].read().shape == (8, 8, 3)


def test_flat_folder_is_split_by_seed_class_by_class(flat):
    splits, _, _ = read_image_folder(flat, seed=3)
    again, _, _ = read_image_folder(flat, seed=3)
    other, _, _ = read_image_folder(flat, seed=4)
    assert {s: len(images) for s, images in splits.items()} == {"train": 32, "validation": 4, "test": 4}
    for split in splits:
        assert names(splits, split) == names(again, split)
        assert sum(image.label == 0 for image in splits[split]) == len(splits[split]) // 2
    assert names(splits, "test") != names(other, "test")
    assert not names(splits, "train") & (names(splits, "test") | names(splits, "validation"))


def test_a_new_picture_moves_few_others(flat):
    before, _, _ = read_image_folder(flat, test_fraction=0.3)
    write(flat / "cat" / "new.png", 999)
    after, _, _ = read_image_folder(flat, test_fraction=0.3)
    assert len(names(before, "test") & names(after, "test")) >= len(before["test"]) - 2


def test_copies_stay_in_one_split(flat):
    for number in range(20):
        write(flat / "cat" / f"copy{number}.png", number)
    splits, _, _ = read_image_folder(flat)
    assert not find_leaks(splits)


def test_leaks_between_given_splits_are_found(tmp_path):
    for split in ("train", "validation", "test"):
        write(tmp_path / split / "a" / "same.png", 1)
        write(tmp_path / split / "b" / f"{split}.png", hash(split) % 1000)
    splits, _, _ = read_image_folder(tmp_path)
    leaks = find_leaks(splits)
    assert len(leaks) == 2
    assert "test/a/same.png (test) is the same file as train/a/same.png (train)" in leaks


def test_every_unreadable_file_is_named_or_left_out(flat):
    (flat / "cat" / "broken.jpg").write_bytes(b"nothing")
    (flat / "dog" / "empty.png").write_bytes(b"")
    (flat / "dog" / "notes.txt").write_text("ignored")
    with pytest.raises(DataError) as caught:
        read_image_folder(flat)
    assert len(caught.value.problems) == 2
    assert "cat/broken.jpg" in str(caught.value)
    assert "dog/empty.png" in str(caught.value)
    assert "--skip_unreadable" in str(caught.value)
    splits, _, remarks = read_image_folder(flat, skip_unreadable=True)
    assert len(remarks) == 2
    assert sum(map(len, splits.values())) == 40


def test_wrong_layouts_are_explained(tmp_path, flat):
    with pytest.raises(DataError, match="no such folder"):
        read_image_folder(tmp_path / "absent")
    one = tmp_path / "single"
    write(one / "cat" / "a.png", 1)
    with pytest.raises(DataError, match="1 class folder"):
        read_image_folder(one)
    few = tmp_path / "few"
    for name in ("a", "b"):
        write(few / name / "x.png", hash(name) % 99)
    with pytest.raises(DataError, match=r"1 different picture\(s\); at least 3"):
        read_image_folder(few)
    no_train = tmp_path / "no_train"
    write(no_train / "test" / "a" / "x.png", 1)
    with pytest.raises(DataError, match="no train folder"):
        read_image_folder(no_train)
