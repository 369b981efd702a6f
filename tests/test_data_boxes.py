"""Readers of boxes: right values from right files, and every wrong one named by file and line at once."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.data.boxes import complete_splits, read_boxes
from shared.files.errors import DataError

VOC = """<annotation>
  <filename>{name}</filename>
  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>
{objects}</annotation>
"""


def picture(path: Path, size=(40, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (10, 200, 30)).save(path)


def voc_object(label, box, extra=""):
    x0, y0, x1, y1 = box
    return (
        f"  <object>\n    <name>{label}</name>{extra}\n"
        f"    <bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox>\n"
        "  </object>\n"
    )


def voc(folder: Path, stem: str, objects: str, size=(40, 30), said=None, name=None) -> Path:
    picture(folder / "JPEGImages" / f"{stem}.png", size)
    width, height = said or size
    path = folder / "Annotations" / f"{stem}.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(VOC.format(name=name or f"{stem}.png", width=width, height=height, objects=objects))
    return path


def sets(folder: Path, **splits: str) -> None:
    (folder / "ImageSets/Main").mkdir(parents=True, exist_ok=True)
    for split, stems in splits.items():
        (folder / "ImageSets/Main" / f"{split}.txt").write_text("\n".join(stems.split()) + "\n")


def test_voc_boxes_count_from_one_and_include_the_last_pixel(tmp_path):
    voc(tmp_path, "a", voc_object("cat", (1, 1, 40, 30)) + voc_object("ant", (5, 6, 10, 12)))
    voc(tmp_path, "b", voc_object("cat", (2, 2, 9, 9), "<difficult>1</difficult>"))
    voc(tmp_path, "c", "")
    sets(tmp_path, train="a", val="b", test="c")
    splits, classes, remarks = read_boxes(tmp_path)
    assert classes == ["ant", "cat"]
    assert not remarks
    a, b, c = splits["train"][0], splits["validation"][0], splits["test"][0]
    np.testing.assert_array_equal(a.boxes, [[0, 0, 40, 30], [4, 5, 10, 12]])
    assert a.class_ids.tolist() == [1, 0]
    assert a.size_px == (30, 40)
    assert a.input.name == "a.png"
    assert b.ignored.tolist() == [True]
    assert c.boxes.shape == (0, 4)


def test_all_voc_problems_are_named_by_file_and_line_in_one_error(tmp_path):
    (tmp_path / "classes.txt").parent.mkdir(exist_ok=True)
    (tmp_path / "classes.txt").write_text("cat\n")
    voc(tmp_path, "good", voc_object("cat", (1, 1, 9, 9)))
    voc(tmp_path, "outside", voc_object("cat", (1, 1, 9, 9)) + voc_object("cat", (30, 1, 60, 9)))
    voc(tmp_path, "unknown", voc_object("dog", (1, 1, 9, 9)))
    voc(tmp_path, "turned", voc_object("cat", (20, 1, 9, 9)))
    voc(tmp_path, "letters", voc_object("cat", ("x", 1, 9, 9)))
    voc(tmp_path, "size", voc_object("cat", (1, 1, 9, 9)), said=(80, 60))
    voc(tmp_path, "missing", voc_object("cat", (1, 1, 9, 9)))
    (tmp_path / "JPEGImages/missing.png").unlink()
    voc(tmp_path, "damaged", voc_object("cat", (1, 1, 9, 9)))
    (tmp_path / "JPEGImages/damaged.png").write_bytes(b"no picture")
    (tmp_path / "Annotations/broken.xml").write_text("<annotation>\n<object>\n</annotation>\n")
    no_box = "  <object>\n    <name>cat</name>\n  </object>\n"
    voc(tmp_path, "nobox", no_box)
    sets(tmp_path, train="good outside absent", val="good")
    with pytest.raises(DataError) as caught:
        read_boxes(tmp_path)
    text = "\n".join(caught.value.problems)
    for start in (
        "Annotations/outside.xml:10: box (29, 0, 60, 9) reaches outside the picture of 40 x 30",
        "Annotations/unknown.xml:5: unknown class 'dog'; known: cat",
        "Annotations/turned.xml:6: box (19, 0, 9, 9) ends before it begins",
        "Annotations/letters.xml:6: box (nan, nan, nan, nan) has a value that is no number",
        "Annotations/size.xml:3: size says 80 x 60, the picture has 40 x 30",
        "Annotations/missing.xml:2: the picture 'missing.png' does not exist",
        "Annotations/damaged.xml:2: the picture 'damaged.png' cannot be read",
        "Annotations/broken.xml:3: not well-formed XML",
        "Annotations/nobox.xml:4: the object 'cat' has no bndbox",
        "ImageSets/Main/train.txt:3: there is no Annotations/absent.xml",
        "good.png: in both train and validation",
    ):
        assert start in text
    assert len(caught.value.problems) == 11


def test_the_lines_that_are_named_hold_what_is_wrong(tmp_path):
    path = voc(tmp_path, "a", voc_object("cat", (1, 1, 9, 9)) + voc_object("cat", (30, 1, 60, 9)))
    with pytest.raises(DataError) as caught:
        read_boxes(tmp_path)
    line = int(caught.value.problems[0].split(":")[1])
    assert "<xmax>60</xmax>" in path.read_text().splitlines()[line - 1]


def test_a_hair_thin_box_is_ignored_with_a_remark(tmp_path):
    voc(tmp_path, "a", voc_object("cat", (5, 5, 5, 5)) + voc_object("cat", (1, 1, 9, 9)))
    for stem in "bcd":
        voc(tmp_path, stem, voc_object("cat", (1, 1, 9, 9)))
    sets(tmp_path, train="a b", val="c", test="d")
    splits, _, remarks = read_boxes(tmp_path)
    assert splits["train"][0].ignored.tolist() == [True, False]
    assert remarks == ["Annotations/a.xml:6: box (4, 4, 5, 5) is thinner than 2 pixels and is ignored"]


def coco(path: Path, images, annotations, categories=((1, "cat"), (7, "ant"))) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": i, "name": n} for i, n in categories],
    }
    path.write_text(json.dumps(content, indent=1))


def image_row(key, name, width=40, height=30):
    return {"id": key, "file_name": name, "width": width, "height": height}


def note(image, category, box, **more):
    return {"image_id": image, "category_id": category, "bbox": list(box), **more}


def test_coco_files_by_split_name(tmp_path):
    for split in ("train", "val", "test"):
        picture(tmp_path / "images" / f"{split}.png")
        rows = [note(5, 7, (1, 2, 10, 20)), note(5, 1, (0, 0, 40, 30), iscrowd=1)]
        coco(tmp_path / "annotations" / f"instances_{split}2017.json", [image_row(5, f"{split}.png")], rows)
    splits, classes, _ = read_boxes(tmp_path)
    assert classes == ["cat", "ant"]
    assert {s: [i.name for i in images] for s, images in splits.items()} == {
        "train": ["train.png"],
        "validation": ["val.png"],
        "test": ["test.png"],
    }
    image = splits["train"][0]
    np.testing.assert_array_equal(image.boxes, [[1, 2, 11, 22], [0, 0, 40, 30]])
    assert image.class_ids.tolist() == [1, 0]
    assert image.ignored.tolist() == [False, True]


def test_coco_json_in_split_folders_beside_the_pictures(tmp_path):
    for split in ("train", "valid", "test"):
        picture(tmp_path / split / "a.png")
        coco(tmp_path / split / "_annotations.coco.json", [image_row(1, "a.png")], [note(1, 1, (1, 1, 5, 5))])
    splits, _, _ = read_boxes(tmp_path)
    assert [str(splits[s][0].source.parent.name) for s in splits] == ["train", "valid", "test"]


def test_all_coco_problems_are_named_by_file_and_line_in_one_error(tmp_path):
    picture(tmp_path / "images/a.png")
    rows = [
        note(1, 1, (1, 1, 5, 5)),
        note(1, 1, (35, 1, 20, 5)),
        note(1, 99, (1, 1, 5, 5)),
        note(4, 1, (1, 1, 5, 5)),
        note(1, 1, (1, 1, -5, 5)),
        note(1, 1, (1, 1, 5)),
        note(1, 1, (1, "x", 5, 5)),
    ]
    images = [image_row(1, "a.png"), image_row(2, "gone.png"), image_row(1, "a.png")]
    coco(tmp_path / "annotations.json", images, rows)
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/val.json").write_text('{"images": [\n {"id": 1,}\n]}')
    with pytest.raises(DataError) as caught:
        read_boxes(tmp_path)
    problems = caught.value.problems
    lines = (tmp_path / "annotations.json").read_text().splitlines()
    for part in (
        "reaches outside the picture of 40 x 30",
        "unknown category_id 99; known: 1 cat, 7 ant",
        "image_id 4 is not among the images",
        "ends before it begins",
        "bbox must be [x, y, width, height], is [1, 1, 5]",
        "is [1, 'x', 5, 5]",
        "the picture 'gone.png' does not exist",
        "image id 1 occurs twice",
    ):
        found = [p for p in problems if part in p]
        assert len(found) == 1, (part, problems)
        # The object that begins on that line is the one meant.
        line = int(found[0].split(":")[1])
        assert found[0].startswith("annotations.json:")
        assert lines[line - 1].strip() == "{"
    assert any(p.startswith("annotations/val.json:2: not valid JSON") for p in problems)
    assert len(problems) == 9
    outside = next(p for p in problems if "reaches outside" in p)
    assert "35" in "".join(lines[int(outside.split(":")[1]) :][:5])


def test_a_file_name_cannot_leave_the_folder(tmp_path):
    picture(tmp_path / "secret.png")
    coco(tmp_path / "data/annotations.json", [image_row(1, "../secret.png")], [note(1, 1, (1, 1, 5, 5))])
    with pytest.raises(DataError, match=r"secret\.png' does not exist"):
        read_boxes(tmp_path / "data")


def test_missing_splits_are_drawn_from_train_and_fixed_by_the_seed(tmp_path):
    for index in range(10):
        voc(tmp_path, f"p{index}", voc_object("cat", (1, 1, 9, 9)))
    first, again, other = (read_boxes(tmp_path, seed=s)[0] for s in (1, 1, 2))
    names = [
        {s: [i.name for i in images] for s, images in splits.items()} for splits in (first, again, other)
    ]
    assert names[0] == names[1] != names[2]
    assert {s: len(v) for s, v in names[0].items()} == {"train": 6, "validation": 2, "test": 2}
    assert len({n for v in names[0].values() for n in v}) == 10


def test_two_pictures_are_too_few():
    with pytest.raises(DataError, match="at least 3 pictures"):
        complete_splits({"train": []})


@pytest.mark.parametrize("name", ["absent", "empty"])
def test_no_data_is_named(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError) as caught:
        read_boxes(tmp_path / name)
    assert name in str(caught.value)
    assert "Pascal VOC" in str(caught.value)


def test_exif_rotation_is_respected(tmp_path):
    path = voc(tmp_path, "a", voc_object("cat", (1, 1, 20, 40)), said=(30, 40), name="a.jpg")
    (tmp_path / "JPEGImages/a.png").unlink()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save(tmp_path / "JPEGImages/a.jpg", exif=exif)
    for stem in "bc":
        voc(tmp_path, stem, voc_object("cat", (1, 1, 9, 9)))
    splits, _, _ = read_boxes(tmp_path)
    image = next(i for images in splits.values() for i in images if i.name == "a.jpg")
    assert image.size_px == (40, 30), path


def tiny_voc_builder():
    """A data set with the features of tfds:voc, defined here, so that no network is needed."""
    tfds = pytest.importorskip("tensorflow_datasets")

    class TinyBoxes(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            objects = {
                "bbox": tfds.features.BBoxFeature(),
                "label": tfds.features.ClassLabel(names=["ant", "cat"]),
                "is_difficult": tfds.features.Tensor(shape=(), dtype=np.bool_),
            }
            features = {"image": tfds.features.Image(), "objects": tfds.features.Sequence(objects)}
            return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples(6), "test": self._generate_examples(2)}

        def _generate_examples(self, count):
            for index in range(count):
                box = tfds.features.BBox(ymin=0.1, xmin=0.25, ymax=0.5, xmax=0.75)
                row = {"bbox": box, "label": "cat", "is_difficult": index == 1}
                content = io.BytesIO()
                Image.new("RGB", (40, 30), (index, 0, 0)).save(content, "PNG")
                content.seek(0)
                yield index, {"image": content, "objects": [row]}

    return TinyBoxes


def test_a_tfds_data_set_by_name(tmp_path):
    from shared.data.boxes_tfds import read_tfds_boxes

    tiny_voc_builder()
    splits, classes, remarks = read_tfds_boxes("tfds:tiny_boxes", data_dir=str(tmp_path))
    assert classes == ["ant", "cat"]
    assert not remarks
    assert {s: len(images) for s, images in splits.items()} == {"train": 5, "validation": 1, "test": 2}
    image = splits["test"][0]
    np.testing.assert_allclose(image.boxes, [[10, 3, 30, 15]], atol=1e-4)
    assert image.class_ids.tolist() == [1]
    assert [i.ignored.tolist() for i in splits["test"]].count([True]) == 1
    assert isinstance(image.input, bytes)
    # The same data set as if it did not fit in memory: pictures are files.
    large, _, _ = read_tfds_boxes("tiny_boxes", data_dir=str(tmp_path), memory_bytes=0)
    assert large["test"][0].input.read_bytes() == image.input
    np.testing.assert_array_equal(large["test"][0].boxes, image.boxes)


def test_tfds_name_that_does_not_exist_is_told_plainly(tmp_path):
    pytest.importorskip("tensorflow_datasets")
    from shared.data.boxes_tfds import read_tfds_boxes

    with pytest.raises(DataError, match="tfds:no_such_set"):
        read_tfds_boxes("tfds:no_such_set", data_dir=str(tmp_path))
