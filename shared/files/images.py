"""The image boundary: any picture a person has -> RGB uint8 `(height, width, 3)`, or a refusal that helps.

Training reads its files through the same function, so a model never meets pixels it was not trained on.
"""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from shared.files.errors import InputError

MAX_BYTES = 25 * 1024 * 1024
MAX_MEGAPIXELS = 50.0
MIN_SIDE_PX = 2
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM")
"""Decoders that may run on an upload; Pillow knows others (EPS, PDF ...) that start outside programs."""
EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".ppm")

# Pictures that large are refused here with a message; a warning in the server's log helps nobody.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)

_WORKS = "JPEG, PNG, WebP, GIF, BMP, TIFF and AVIF pictures work."
_FUNCIONA = "Funcionan las imágenes JPEG, PNG, WebP, GIF, BMP, TIFF y AVIF."

ImageSource = str | os.PathLike | bytes | np.ndarray | Image.Image


def read_image(
    source: ImageSource, *, max_bytes: int = MAX_BYTES, max_megapixels: float = MAX_MEGAPIXELS
) -> np.ndarray:
    """Read one picture as a person sees it.

    The EXIF rotation is applied, CMYK becomes RGB (through its colour profile if it has one), 16 bits become
    8, transparency is laid on white, and of an animation the first frame is taken.

    Args:
        source: Path, file content, array `(h, w)`, `(h, w, 1|3|4)` (integers as they are, floats in [0, 1])
            or PIL image.
        max_bytes: Largest file.
        max_megapixels: Largest picture; known from the header, before any pixel is decoded.

    Returns:
        uint8 `(height, width, 3)`, RGB, contiguous, writable.

    Raises:
        InputError: Not a picture, damaged, empty or too large; says what would work.
    """
    if isinstance(source, np.ndarray):
        _check_size(source.shape[1::-1] if source.ndim in (2, 3) else (0, 0), max_megapixels)
        return _from_array(source)
    if isinstance(source, Image.Image):
        _check_size(source.size, max_megapixels)
        return _to_rgb(source)
    content = _read_bytes(source, max_bytes)
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            _check_size(image.size, max_megapixels)
            image.seek(0)
            image.load()
            return _to_rgb(image)
    except InputError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large("more than 170", max_megapixels) from error
    except UnidentifiedImageError as error:
        raise _not_an_image(content) from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, MemoryError) as error:
        # Pillow's decoders report damage with any of these.
        raise InputError(
            "The picture is damaged: it ends early or its data cannot be decoded. Save or download it again "
            "and upload the new file.",
            "La imagen está dañada: termina antes de tiempo o sus datos no se pueden decodificar. Guárdala o "
            "descárgala otra vez y sube el archivo nuevo.",
        ) from error


def _read_bytes(source: str | os.PathLike | bytes, max_bytes: int) -> bytes:
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        try:
            size = path.stat().st_size
            content = path.read_bytes() if size <= max_bytes else b""
        except OSError as error:
            raise InputError(
                f"There is no readable file {path.name!r}. Choose the picture again.",
                f"No hay ningún archivo legible {path.name!r}. Elige la imagen otra vez.",
            ) from error
    elif isinstance(source, bytes | bytearray | memoryview):
        content = bytes(source)
        size = len(content)
    else:
        raise TypeError(
            f"source must be a path, bytes, a NumPy array or a PIL image, received {type(source).__name__}"
        )
    if size == 0:
        raise InputError(
            f"The file is empty (0 bytes). {_WORKS}", f"El archivo está vacío (0 bytes). {_FUNCIONA}"
        )
    if size > max_bytes:
        limit, actual = max_bytes / 2**20, size / 2**20
        raise InputError(
            f"The file has {actual:.1f} MB; at most {limit:.0f} MB are read. Save it as JPEG or make it "
            "smaller.",
            f"El archivo ocupa {actual:.1f} MB; se leen como máximo {limit:.0f} MB. Guárdalo como JPEG o "
            "redúcelo.",
        )
    return content


def _not_an_image(content: bytes) -> InputError:
    if content[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftyphevc"):
        return InputError(
            f"HEIC photos (iPhone) cannot be read here. Export the photo as JPEG. {_WORKS}",
            f"Aquí no se pueden leer fotos HEIC (iPhone). Exporta la foto como JPEG. {_FUNCIONA}",
        )
    return InputError(
        f"This file is not a picture that can be read. {_WORKS}",
        f"Este archivo no es una imagen que se pueda leer. {_FUNCIONA}",
    )


def _too_large(megapixels: str, limit: float) -> InputError:
    return InputError(
        f"The picture has {megapixels} megapixels; at most {limit:.0f} are read. Make it smaller: a side of "
        "2,000 pixels is plenty.",
        f"La imagen tiene {megapixels} megapíxeles; se leen como máximo {limit:.0f}. Redúcela: un lado de "
        "2000 píxeles es más que suficiente.",
    )


def _check_size(size: tuple[int, int], max_megapixels: float) -> None:
    width, height = size
    if min(width, height) < MIN_SIDE_PX:
        raise InputError(
            f"The picture has {width} × {height} pixels; each side needs at least {MIN_SIDE_PX}.",
            f"La imagen tiene {width} × {height} píxeles; cada lado necesita al menos {MIN_SIDE_PX}.",
        )
    if width * height > max_megapixels * 1e6:
        raise _too_large(f"{width * height / 1e6:.0f}", max_megapixels)


def _to_rgb(image: Image.Image) -> np.ndarray:
    rotated = ImageOps.exif_transpose(image)
    image = rotated if rotated is not None else image
    if image.mode == "CMYK":
        image = _cmyk_to_rgb(image)
    elif image.mode == "F" or image.mode.startswith("I"):
        return _from_array(_unsigned(np.asarray(image)))
    if image.has_transparency_data or image.mode in ("LA", "La", "RGBa", "PA"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.array(image.convert("RGB"))


def _cmyk_to_rgb(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            target = ImageCms.createProfile("sRGB")
            return ImageCms.profileToProfile(image, source, target, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            pass  # A broken profile: the plain conversion is still a picture.
    return image.convert("RGB")


def _unsigned(values: np.ndarray) -> np.ndarray:
    """Grey of 16 or 32 bits or floating point -> uint8 or uint16 in its natural range."""
    if values.dtype.kind == "f":
        finite = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        return finite if finite.max(initial=0.0) <= 1.0 else np.clip(finite, 0, 255).astype(np.uint8)
    if values.dtype == np.uint16:
        return values
    clipped = np.clip(values, 0, 65535)
    return clipped.astype(np.uint8 if clipped.max(initial=0) <= 255 else np.uint16)


def _from_array(values: np.ndarray) -> np.ndarray:
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or values.shape[-1] not in (1, 3, 4):
        raise InputError(
            "An image array must have shape (h, w), (h, w, 1), (h, w, 3) or (h, w, 4), received "
            f"{values.shape}.",
            "Una matriz de imagen debe tener forma (h, w), (h, w, 1), (h, w, 3) o (h, w, 4); se recibió "
            f"{values.shape}.",
        )
    if values.dtype == np.uint16:
        values = (values >> 8).astype(np.uint8)
    elif values.dtype.kind == "f":
        values = np.rint(np.clip(np.nan_to_num(values), 0.0, 1.0) * 255).astype(np.uint8)
    elif values.dtype.kind == "b":
        values = values.astype(np.uint8) * 255
    elif values.dtype != np.uint8:
        values = np.clip(values, 0, 255).astype(np.uint8)
    if values.shape[-1] == 4:
        return np.array(_to_rgb(Image.fromarray(np.ascontiguousarray(values), "RGBA")))
    return np.array(np.broadcast_to(values, (*values.shape[:2], 3)))
