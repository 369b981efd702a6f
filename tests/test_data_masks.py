"""Readers of images with masks: layouts, class lists, and every wrong annotation named by file."""

from __future__ import annotations

import importlib.util
import io

import numpy as np
import pytest
from PIL import Image

from shared.data.class_table import camvid_table, make_table, palette, read_class_list
from shared.data.masks import VOID, find_leaks, read_mask, read_mask_folder
from shared.files.errors import DataError

rng = np.random.default_rng(0)


def save_image(path, size=(12, 8), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (size[1], size[0], 3)
    Image.fromarray(rng.integers(0, 256, shape).astype(np.uint8)).convert(mode).save(path)


def save_mask(path, values, palette_png=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.asarray(values, np.uint8))
    if palette_png:
        picture.putpalette(np.array(((9, 9, 9), *palette(255)), np.uint8).tobytes())
    picture.save(path)


def make_folder(root, count=10, layout="flat", classes="ground\nsquare\n", palette_png=False):
    for number in range(count):
        values = np.zeros((8, 12))
        values[2:5, 3:6] = 1
        if layout == "flat":
            image, mask = root / "images" / f"{number}.jpg", root / "masks" / f"{number}.png"
        else:
            split = ("train", "val", "test")[min(number // 4, 2)]
            if layout == "camvid":
                image, mask = root / split / f"{number}.jpg", root / f"{split}annot" / f"{number}.png"
            elif layout == "split first":
                image = root / split / "images" / f"{number}.jpg"
                mask = root / split / "masks" / f"{number}.png"
            else:
                image = root / "images" / split / f"{number}.jpg"
                mask = root / "masks" / split / f"{number}_mask.png"
        save_image(image)
        save_mask(mask, values, palette_png)
    if classes:
        (root / "classes.txt").write_text(classes, encoding="utf-8")
    return root


@pytest.mark.parametrize("layout", ["flat", "split first", "kind first", "camvid"])
@pytest.mark.parametrize("palette_png", [False, True])
def test_every_layout_is_read(tmp_path, layout, palette_png):
    splits, table, _ = read_mask_folder(make_folder(tmp_path, layout=layout, palette_png=palette_png))
    assert table.names == ("ground", "square")
    assert list(splits) == ["train", "validation", "test"]
    assert sum(map(len, splits.values())) == 10
    assert all(splits.values())
    image, mask = splits["train"][0].read()
    assert image.shape == (8, 12, 3)
    assert image.dtype == mask.dtype == np.uint8
    assert splits["train"][0].size_px == (8, 12)
    assert np.argwhere(mask == 1).tolist() == [[r, c] for r in (2, 3, 4) for c in (3, 4, 5)]
    if layout != "flat":
        assert [len(s) for s in splits.values()] == [4, 4, 2]


def test_missing_splits_are_drawn_by_seed_and_disjoint(tmp_path):
    make_folder(tmp_path)
    first = read_mask_folder(tmp_path, seed=1)[0]
    again = read_mask_folder(tmp_path, seed=1)[0]
    other = read_mask_folder(tmp_path, seed=2)[0]
    names = {s: [e.name for e in rows] for s, rows in first.items()}
    assert names == {s: [e.name for e in rows] for s, rows in again.items()}
    assert names != {s: [e.name for e in rows] for s, rows in other.items()}
    assert sorted(name for rows in names.values() for name in rows) == sorted(
        f"images/{n}.jpg" for n in range(10)
    )
    assert not find_leaks(first)


def test_colour_masks_and_their_grey_kin(tmp_path):
    table = make_table(["road", "void", "car"], [(1, 2, 3), (0, 0, 0), (200, 0, 9)], coloured_masks=True)
    assert table.names == ("road", "car")
    values = np.array([[[1, 2, 3], [0, 0, 0], [200, 0, 9]]], np.uint8)
    save_mask(tmp_path / "m.png", values)
    assert read_mask(tmp_path / "m.png", table).tolist() == [[0, VOID, 1]]
    binary = make_table(["ground", "thing"], [(0, 0, 0), (255, 255, 255)], coloured_masks=True)
    save_mask(tmp_path / "b.png", [[0, 255, 255]])
    assert read_mask(tmp_path / "b.png", binary).tolist() == [[0, 1, 1]]


def test_void_may_stand_anywhere_in_the_list(tmp_path):
    (tmp_path / "classes.txt").write_text("void\nroad\nUnlabelled\ntall tree\n", encoding="utf-8")
    table = read_class_list(tmp_path / "classes.txt")
    assert table.names == ("road", "tall tree")
    save_mask(tmp_path / "m.png", [[0, 1, 2, 3, 255]])
    assert read_mask(tmp_path / "m.png", table).tolist() == [[VOID, 0, VOID, 1, VOID]]


def test_camvid_knows_its_classes(tmp_path):
    splits, table, _ = read_mask_folder(make_folder(tmp_path, layout="camvid", classes=""))
    assert len(table.names) == 11
    assert table == camvid_table()
    assert table.names[3] == "road"
    save_mask(tmp_path / "m.png", [[3, 11, 255]])
    assert read_mask(tmp_path / "m.png", table).tolist() == [[3, VOID, VOID]]
    assert len(splits["train"]) == 4


def test_class_dict_csv(tmp_path):
    (tmp_path / "class_dict.csv").write_text("name,r,g,b\nroad,128,64,128\nVoid,0,0,0\ncar,64,0,128\n")
    table = read_class_list(tmp_path / "class_dict.csv")
    assert table.names == ("road", "car")
    assert table.colours == ((128, 64, 128), (64, 0, 128))


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("road 1 2 3\ncar 300 0 0\n", 2, "not a colour"),
        ("road\nroad\n", 2, "already"),
        ("road 1 2 3\ncar 1 2 3\n", 2, "belongs to 'road'"),
    ],
)
def test_wrong_class_lists_are_named_by_line(tmp_path, text, line, words):
    (tmp_path / "classes.txt").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=words) as caught:
        read_class_list(tmp_path / "classes.txt")
    assert f"classes.txt:{line}:" in str(caught.value)


def test_class_list_with_one_class_or_half_the_colours(tmp_path):
    for text, words in (("road\nvoid\n", "needs 2 to"), ("road 1 2 3\ncar\n", "without one: car")):
        (tmp_path / "classes.txt").write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=words):
            read_class_list(tmp_path / "classes.txt")


def test_every_wrong_annotation_stands_in_one_error(tmp_path):
    make_folder(tmp_path, layout="split first")
    masks, images = tmp_path / "train" / "masks", tmp_path / "train" / "images"
    save_mask(masks / "0.png", np.zeros((9, 12)))
    unknown = np.zeros((8, 12))
    unknown[4, 7] = 6
    save_mask(masks / "1.png", unknown)
    (masks / "2.png").unlink()
    (images / "3.jpg").write_bytes((images / "3.jpg").read_bytes()[:100])
    save_mask(tmp_path / "val" / "masks" / "alone.png", np.zeros((8, 12)))
    (tmp_path / "val" / "masks" / "4.png").write_bytes(b"no picture")
    with pytest.raises(DataError) as caught:
        read_mask_folder(tmp_path)
    assert len(caught.value.problems) == 6
    text = "\n".join(caught.value.problems)
    assert "train/images/0.jpg: the mask has 12 × 9 pixels, its image 12 × 8" in text
    assert "train/images/1.jpg: unknown index 6 (first at row 4, column 7; 1 pixels)" in text
    assert "train/images/2.jpg: has no mask; train/masks/2.png is missing" in text
    assert "train/images/3.jpg: The picture is damaged" in text
    assert "val/masks/alone.png: has no image" in text
    assert "val/images/4.jpg: the mask cannot be read" in text


def test_unknown_colour_jpeg_mask_and_colour_without_list(tmp_path):
    table = make_table(["a", "b"], [(0, 0, 0), (9, 9, 9)], coloured_masks=True)
    save_mask(tmp_path / "m.png", np.array([[[0, 0, 0], [9, 9, 8]]]))
    with pytest.raises(ValueError, match=r"unknown colour \(9, 9, 8\) \(first at row 0, column 1; 1 pixels"):
        read_mask(tmp_path / "m.png", table)
    with pytest.raises(ValueError, match="gives no colours"):
        read_mask(tmp_path / "m.png", make_table(["a", "b"], [None, None], coloured_masks=False))
    save_image(tmp_path / "m.jpg")
    with pytest.raises(ValueError, match="JPEG"):
        read_mask(tmp_path / "m.jpg", table)


def test_same_picture_in_two_splits_is_refused(tmp_path):
    make_folder(tmp_path, layout="split first")
    content = (tmp_path / "train" / "images" / "0.jpg").read_bytes()
    (tmp_path / "test" / "images" / "8.jpg").write_bytes(content)
    with pytest.raises(DataError, match=r"same picture as train/images/0\.jpg"):
        read_mask_folder(tmp_path)


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda root: (root / "images").mkdir(), "no folder of images beside a folder of masks"),
        (lambda root: make_folder(root, classes=""), "classes.txt: is missing"),
        (lambda root: make_folder(root, count=2), "at least 3 are needed"),
    ],
)
def test_unusable_folders_are_explained(tmp_path, prepare, words):
    prepare(tmp_path)
    with pytest.raises(DataError, match=words) as caught:
        read_mask_folder(tmp_path)
    assert "classes.txt has a class a line" in str(caught.value)


def test_palette_is_pascal_vocs():
    assert palette(4) == ((128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128))
    assert len(set(palette(200))) == 200


@pytest.mark.skipif(
    importlib.util.find_spec("tensorflow_datasets") is None, reason="training requirements only"
)
def test_tfds_pet_masks_become_indices(monkeypatch):
    import tensorflow_datasets as tfds

    from shared.data import masks

    def png(values):
        stream = io.BytesIO()
        Image.fromarray(np.asarray(values, np.uint8)).save(stream, "PNG")
        return stream.getvalue()

    rows = [
        {"image": png(rng.integers(0, 255, (2, 3, 3))), "segmentation_mask": png([[1, 2, 3], [2, 2, 1]])}
        for _ in range(6)
    ]

    class Builder:
        class info:
            features = {"image": None, "segmentation_mask": None}
            dataset_size = 1
            splits = {"train": None, "test": None}

        def download_and_prepare(self):
            pass

        def as_dataset(self, split, **_):
            return rows[:4] if split == "train" else rows[4:]

    monkeypatch.setattr(tfds, "builder", lambda name, data_dir=None: Builder())
    monkeypatch.setattr(tfds, "as_numpy", lambda dataset: dataset)
    splits, table, _ = masks.read_tfds_masks("tfds:oxford_iiit_pet")
    assert table.names == ("pet", "background", "border")
    assert [len(splits[s]) for s in ("train", "validation", "test")] == [3, 1, 2]
    assert splits["test"][0].read()[1].tolist() == [[0, 1, 2], [1, 1, 0]]
