"""`push`: the bundle or the model to the Hugging Face Hub, then wait and tell the address or the log."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from shared.runtime.variants import Variant
from shared.space.bundle import Bundle, SpaceError

WAIT_S = 900.0
LOG_LINES = 60
_DRAFTS = (".space", "__pycache__/*", "*.pyc")


def api_or_none(dry_run: bool) -> Any:
    """A client of the Hub with the token of the environment or of `hf auth login`; None for a dry run."""
    from huggingface_hub import HfApi, get_token

    token = None if dry_run else get_token()
    return HfApi(token=token) if token else None


def push_space(bundle: Bundle, repo: str, api: Any, *, sdk: str = "gradio", private: bool = False) -> str:
    """Upload a bundle as a Space and wait until it answers.

    Args:
        bundle: What `build` made.
        repo: `USER/NAME`.
        api: `huggingface_hub.HfApi`, or None to only tell what would happen.
        sdk: `gradio` or `static`.
        private: Create it private.

    Returns:
        The address.

    Raises:
        SpaceError: The name is no `USER/NAME`, or the Space ended in an error; the message holds its log.
    """
    _check_repo(repo)
    address = f"https://huggingface.co/spaces/{repo}"
    if api is None:
        _tell(bundle.folder, f"Space {address}")
        return address
    api.create_repo(repo, repo_type="space", space_sdk=sdk, private=private, exist_ok=True)
    api.upload_folder(
        repo_id=repo,
        repo_type="space",
        folder_path=bundle.folder,
        ignore_patterns=list(_DRAFTS),
        delete_patterns="*",
        commit_message=f"{bundle.app}: {', '.join(bundle.variants)}",
    )
    print(f"Uploaded; waiting for {address} to start", flush=True)
    if sdk == "static":
        return address
    runtime = api.wait_for_space(repo, timeout=WAIT_S, poll_interval=5.0)
    stage = str(getattr(runtime.stage, "value", runtime.stage))
    if stage != "RUNNING":
        log = list(api.fetch_space_logs(repo, build=stage in ("BUILD_ERROR", "CONFIG_ERROR")))
        tail = "\n".join(line.rstrip("\n") for line in log[-LOG_LINES:])
        raise SpaceError(f"{address} ended as {stage}. The end of its log:\n{tail}")
    return address


def push_model(variant: Variant, repo: str, api: Any, *, private: bool = False) -> str:
    """Upload a variant's weights, both formats, with its model card as README.

    Args:
        variant: What to publish.
        repo: `USER/NAME`.
        api: See `push_space`.
        private: Create it private.

    Returns:
        The address.
    """
    _check_repo(repo)
    address = f"https://huggingface.co/{repo}"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        shutil.copytree(variant.folder, folder)
        card = folder / "MODEL_CARD.md"
        if not card.is_file():
            raise SpaceError(f"{variant.app}/{variant.name} has no MODEL_CARD.md; train or export it again")
        card.rename(folder / "README.md")
        if api is None:
            _tell(folder, f"model {address}")
            return address
        api.create_repo(repo, repo_type="model", private=private, exist_ok=True)
        api.upload_folder(
            repo_id=repo,
            repo_type="model",
            folder_path=folder,
            delete_patterns="*",
            commit_message=f"{variant.app}/{variant.name}",
        )
    return address


def _check_repo(repo: str) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise SpaceError(f"repo must be USER/NAME, received {repo!r}: {error}") from error
    if repo.count("/") != 1:
        raise SpaceError(f"repo must be USER/NAME, received {repo!r}")


def _tell(folder: Path, what: str) -> None:
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != ".space")
    total = sum(p.stat().st_size for p in files)
    print(f"Dry run: would upload {len(files)} files, {total / 1e6:.1f} MB, to the {what}:")
    for line in _lines(folder, files):
        print(f"  {line}")
    print("To upload: set HF_TOKEN or run `hf auth login`, and leave --dry_run out.")


def _lines(folder: Path, files: Iterable[Path]) -> Iterable[str]:
    for path in files:
        yield f"{path.stat().st_size:>12,}  {path.relative_to(folder)}"
