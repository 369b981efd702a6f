"""The image boundary: every picture a person may bring is read as they see it, or refused with help."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from shared.files.errors import InputError
from shared.files.images import read_image

RED, BLUE = (200, 10, 20), (10, 20, 200)


def picture(mode="RGB", size=(40, 20), color=RED):
    return Image.new(mode, size, color)


def content(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def near(image, color, tolerance=6):
    return np.abs(image.astype(int) - color).max() <= tolerance


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "AVIF", "PPM", "GIF"])
def test_common_formats_give_rgb(kind):
    image = read_image(content(picture(), kind))
    assert image.shape == (20, 40, 3)
    assert image.dtype == np.uint8
    assert image.flags.writeable
    assert near(image, RED, 12)


def test_path_bytes_array_and_pil_agree(tmp_path):
    data = content(picture(), "PNG")
    path = tmp_path / "a.png"
    path.write_bytes(data)
    expected = read_image(data)
    for source in (path, str(path), np.array(picture()), picture()):
        np.testing.assert_array_equal(read_image(source), expected)


def test_exif_rotation_is_applied():
    image = picture()
    image.paste(BLUE, (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # Shown rotated clockwise: the left half comes on top.
    shown = read_image(content(image, "JPEG", exif=exif, quality=95))
    assert shown.shape == (40, 20, 3)
    assert near(shown[2:14], BLUE, 20)
    assert near(shown[26:38], RED, 20)


def test_cmyk_jpeg_looks_like_its_rgb():
    image = read_image(content(picture().convert("CMYK"), "JPEG", quality=95))
    assert image.shape == (20, 40, 3)
    assert near(image, RED, 12)


def test_cmyk_with_a_broken_profile_is_still_read():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = picture().convert("CMYK")
    assert near(read_image(content(image, "JPEG", quality=95, icc_profile=profile)), RED, 12)


def test_16_bit_keeps_its_brightness():
    ramp = np.linspace(0, 65535, 40).astype(np.uint16)
    grey = np.repeat(ramp[None], 20, axis=0)
    image = read_image(content(Image.fromarray(grey), "PNG"))
    assert image.shape == (20, 40, 3)
    np.testing.assert_array_equal(image[0, :, 0], ramp >> 8)
    np.testing.assert_array_equal(read_image(grey), image)


def test_transparency_is_laid_on_white():
    image = Image.new("RGBA", (40, 20), (0, 0, 0, 0))
    image.paste((*RED, 255), (20, 0, 40, 20))
    for kind in ("PNG", "WEBP"):
        seen = read_image(content(image, kind, **({"lossless": True} if kind == "WEBP" else {})))
        assert near(seen[:, :19], (255, 255, 255))
        assert near(seen[:, 21:], RED)
    assert near(read_image(np.array(image))[:, :20], (255, 255, 255))
    palette = content(image.convert("P"), "PNG", transparency=0)
    assert read_image(palette).shape == (20, 40, 3)


def test_animation_gives_its_first_frame():
    data = content(picture(), "GIF", save_all=True, append_images=[picture(color=BLUE)] * 3, duration=50)
    assert near(read_image(data), RED, 12)


def test_float_and_grey_arrays():
    image = read_image(np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4))
    assert image.shape == (3, 4, 3)
    assert image[0, 0, 0] == 0
    assert image[-1, -1, 0] == 255


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"hello, I am no picture at all", "not a picture"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", "HEIC"),
        (b"%PDF-1.7 something", "not a picture"),
        (b"\x89PNG\r\n\x1a\n", "picture"),
        (b"GIF89a", "picture"),
    ],
)
def test_refusals_say_what_would_work(data, words):
    with pytest.raises(InputError) as caught:
        read_image(data)
    assert words in caught.value.en
    assert caught.value.es != caught.value.en
    assert caught.value.message("es-MX") == caught.value.es


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_truncated_file_is_refused(kind, share):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    data = content(Image.fromarray(noise), kind)
    with pytest.raises(InputError):
        read_image(data[: int(len(data) * share)])


def test_too_many_pixels_are_refused_before_decoding():
    data = content(Image.new("1", (12_000, 12_000)), "PNG")
    assert len(data) < 100_000
    with pytest.raises(InputError, match="144 megapixels; at most 50"):
        read_image(data)
    bomb = content(Image.new("1", (20_000, 20_000)), "PNG")
    with pytest.raises(InputError, match="megapixels"):
        read_image(bomb)
    with pytest.raises(InputError, match="megapixels"):
        read_image(np.broadcast_to(np.uint8(0), (9000, 9000, 3)))


def test_too_large_files_and_missing_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="MB"):
        read_image(b"x" * 2000, max_bytes=1000)
    with pytest.raises(InputError, match=r"missing\.jpg") as caught:
        read_image(tmp_path / "missing.jpg")
    assert str(tmp_path) not in caught.value.en


def test_a_pixel_and_wrong_types_are_refused():
    with pytest.raises(InputError, match="1 × 1"):
        read_image(content(picture(size=(1, 1)), "PNG"))
    with pytest.raises(InputError, match="shape"):
        read_image(np.zeros((4, 4, 7), np.uint8))
    with pytest.raises(TypeError, match="source"):
        read_image(3)


def test_formats_that_start_other_programs_are_refused():
    stream = io.BytesIO()
    picture().save(stream, "EPS")
    with pytest.raises(InputError, match="not a picture"):
        read_image(stream.getvalue())
