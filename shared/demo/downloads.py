"""Files a visitor downloads: each in its own unguessable folder, deleted by the server after a while."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from gradio.utils import get_upload_folder

CHECK_EVERY_S = 600
KEEP_S = 3600
"""Uploads and downloads live at most about an hour and ten minutes."""


def write_file(name: str, content: str | bytes) -> str:
    """Write a result for `gr.DownloadButton` or `gr.File`.

    The file is written where Gradio keeps its own cache: no second copy is made, and the server's
    `delete_cache` removes it with everything else that is older than `KEEP_S`.

    Args:
        name: What the visitor's browser calls it, e.g. `result.json`. Only its last part is used, and
            characters that a file system may refuse become `_`.
        content: Text is written as UTF-8.

    Returns:
        The path.
    """
    safe = re.sub(r"[^\w.\- ]+", "_", os.path.basename(name)).strip(". ") or "result"
    folder = Path(get_upload_folder()) / secrets.token_hex(20)
    folder.mkdir(parents=True, mode=0o700)
    path = folder / safe[-120:]
    if isinstance(content, str):
        path.write_text(content, encoding="utf-8", newline="")
    else:
        path.write_bytes(content)
    return str(path)
