"""Spaces: bundles that hold what they need and no more, settings the Hub accepts, uploads, the static page."""

from __future__ import annotations

import contextlib
import functools
import http.server
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import pytest
import yaml

import apps
from shared.runtime.variants import Variant, list_variants
from shared.space import __main__ as cli
from shared.space import bundle as bundles
from shared.space.bundle import SpaceError, build, choose
from shared.space.closure import follow, unmet
from shared.space.push import push_model, push_space
from tests.conftest import free_port
from tests.made_up_apps import write_apps, write_variant

ROOT = Path(__file__).resolve().parents[1]
FRONT = {
    "title": "Greeter",
    "emoji": "👋",
    "colorFrom": "green",
    "colorTo": "blue",
    "license": "apache-2.0",
    "short_description": "Greets you by name",
}
FINISHED = [app.name for app in apps.list_apps() if app.variants()]
COMPLETE = [n for n in FINISHED if (ROOT / "apps" / n / "README.md").is_file()]


@pytest.fixture
def repository(tmp_path):
    """A small project: the shared package of this one, and a made-up app with models."""
    write_apps(tmp_path)
    (tmp_path / "apps" / "__init__.py").write_text('"""Apps."""\n', encoding="utf-8")
    shutil.copytree(ROOT / "shared", tmp_path / "shared", ignore=shutil.ignore_patterns("__pycache__"))
    app = tmp_path / "apps" / "greeter"
    (app / "app.py").write_text(
        "from apps.greeter.demo import build_demo\nfrom shared.demo.launch import launch\n\n"
        'if __name__ == "__main__":\n    launch("greeter", build_demo)\n',
        encoding="utf-8",
    )
    (app / "preprocessing.py").write_text(
        "from shared.runtime.predictor import Processor as Base\n\n\nclass Processor(Base):\n    pass\n",
        encoding="utf-8",
    )
    (app / "train.py").write_text("import tensorflow\n", encoding="utf-8")
    (app / "requirements.txt").write_text("gradio==6.31.0\nonnxruntime==1.32.0\n", encoding="utf-8")
    set_front(tmp_path)
    for variant in ("small", "large"):
        (tmp_path / "models" / "greeter" / variant / "model.keras").write_bytes(b"0" * 5_000)
    return tmp_path


def set_front(repository: Path, **changes) -> None:
    front = {k: v for k, v in (FRONT | changes).items() if v is not None}
    text = f"---\n{yaml.safe_dump(front, allow_unicode=True)}---\n\n# Greeter\n"
    (repository / "apps" / "greeter" / "README.md").write_text(text, encoding="utf-8")


def build_greeter(repository: Path, variants=(), **options):
    return build(
        "greeter",
        variants,
        repository / "out",
        models_dir=repository / "models",
        repository=repository,
        **options,
    )


def front_of(folder: Path) -> dict:
    return yaml.safe_load((folder / "README.md").read_text(encoding="utf-8").split("---\n")[1])


# --- The bundle ------------------------------------------------------------------------------------------


def test_bundle_holds_what_serving_needs_and_no_training(repository):
    made = build_greeter(repository, ["small"])
    files = {str(p.relative_to(made.folder)) for p in made.folder.rglob("*") if p.is_file()}
    assert {
        "app.py",
        "requirements.txt",
        "README.md",
        "apps/greeter/demo.py",
        "shared/demo/static/page.js",
    } <= files
    assert "models/greeter/small/model.onnx" in files
    assert not any("large" in name or name.endswith(".keras") for name in files)
    assert not any(name.endswith(("train.py", "gallery.py")) or "/runtime/fit" in name for name in files)
    assert made.code_bytes < bundles.MAX_CODE_BYTES
    assert made.weight_bytes > 4_900_000


def test_front_matter_has_what_a_space_asks_for(repository):
    front = front_of(build_greeter(repository, models=["me/greeter"]).folder)
    assert front["sdk"] == "gradio"
    assert front["sdk_version"] == importlib.metadata.version("gradio")
    assert front["python_version"] == "3.12"
    assert front["app_file"] == "app.py"
    assert front["models"] == ["me/greeter"]
    assert front["short_description"] == "Greets you by name"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"short_description": "x" * 61}, "at most 60 characters, received 61"),
        ({"license": None}, "must set license"),
        ({"emoji": None, "colorTo": None}, "must set emoji, colorTo"),
    ],
)
def test_bad_front_matter_is_named(repository, changes, message):
    set_front(repository, **changes)
    with pytest.raises(SpaceError, match=message):
        build_greeter(repository)


def test_a_library_that_is_imported_must_be_required(repository):
    (repository / "apps" / "greeter" / "config.py").write_text(
        "import tokenizers\nVARIANTS = {}\n", encoding="utf-8"
    )
    (repository / "apps" / "greeter" / "requirements.txt").write_text("numpy\n", encoding="utf-8")
    with pytest.raises(SpaceError, match=r"must name what the demo imports: .*gradio.*tokenizers"):
        build_greeter(repository)


def test_a_bundle_that_is_too_large_names_the_file(repository):
    (repository / "apps" / "greeter" / "examples" / "film.bin").write_bytes(b"0" * 2_100_000)
    with pytest.raises(SpaceError, match=r"under 2 MB, received 2\.\d MB; largest: .*film\.bin"):
        build_greeter(repository)


def test_unknown_and_missing_variants_are_named(repository):
    with pytest.raises(SpaceError, match=r"one of .*small.*, received huge"):
        build_greeter(repository, ["huge"])
    with pytest.raises(SpaceError, match=r"apps\.greeter\.train"):
        choose("greeter", models_dir=repository / "nothing")


def test_a_folder_with_other_things_is_left_alone(repository):
    (repository / "out").mkdir()
    (repository / "out" / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(SpaceError, match="new or empty"):
        build_greeter(repository)
    assert (repository / "out" / "thesis.txt").read_text(encoding="utf-8") == "mine"
    (repository / "out" / "thesis.txt").unlink()
    build_greeter(repository)
    build_greeter(repository, ["large"])
    assert not (repository / "out" / "models" / "greeter" / "small").exists()


def test_closure_follows_what_runs_and_skips_what_is_for_types(tmp_path):
    for folder in ("apps/x", "shared"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "__init__.py").touch()
    (tmp_path / "apps" / "__init__.py").touch()
    sources = {
        "apps/x/app.py": "from typing import TYPE_CHECKING\nfrom shared import early\n"
        "if TYPE_CHECKING:\n    from shared import types_only\n"
        "def later():\n    from . import late\n    import tensorflow\nNAME = 'words.txt'\n",
        "apps/x/late.py": "import keras\n",
        "apps/x/unused.py": "",
        "shared/early.py": "import numpy.linalg\nimport os\n",
        "shared/types_only.py": "import keras\n",
        "apps/x/words.txt": "hello",
    }
    for name, text in sources.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = follow(["apps.x.app"], tmp_path)
    assert set(found.modules) == {"apps", "apps.x", "apps.x.app", "apps.x.late", "shared", "shared.early"}
    assert found.third_party == {"numpy"}
    assert [p.name for p in found.assets] == ["words.txt"]
    with pytest.raises(FileNotFoundError, match=r"apps\.y"):
        follow(["apps.y"], tmp_path)


def test_what_a_requirement_brings_along_counts():
    assert unmet({"fastapi", "PIL", "numpy", "librosa"}, ["gradio[oauth,mcp]==6.31.0"]) == {"librosa"}


# --- The real apps ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("app", COMPLETE)
def test_every_finished_app_makes_a_small_bundle(app, tmp_path):
    made = build(app, out=tmp_path / "out")
    assert made.code_bytes < bundles.MAX_CODE_BYTES
    names = "\n".join(str(p) for p in made.folder.rglob("*"))
    assert not re.search(r"/(train|task|model)\.py$", names, re.MULTILINE)
    requirements = (made.folder / "requirements.txt").read_text(encoding="utf-8")
    assert not re.search(r"^\s*(tensorflow|keras|torch|jax)", requirements, re.MULTILINE)
    if app != "speech_to_text":
        assert "librosa" not in requirements
    # Versions must agree with the line the Space builder adds.
    pinned = re.findall(r"^gradio(?:\[.*\])?==(\S+)", requirements, re.MULTILINE)
    assert pinned in ([], [bundles.SDK_VERSION])


@pytest.mark.parametrize("app", COMPLETE)
def test_every_bundle_can_be_imported_on_its_own(app, tmp_path):
    made = build(app, out=tmp_path / "out")
    code = (
        f"import sys; import apps.{app}.app; from shared.demo.mounting import build; build({app!r});"
        "import apps; assert apps.__file__.startswith(sys.argv[1]), apps.__file__;"
        "print('HEAVY', sorted({'tensorflow', 'keras', 'torch', 'jax'} & set(sys.modules)))"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "GALLERY_MODELS_DIR")}
    done = subprocess.run(
        [sys.executable, "-c", code, str(made.folder)],
        cwd=made.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert "HEAVY []" in done.stdout, done.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("app", COMPLETE)
def test_a_space_started_alone_in_a_clean_environment_answers_its_examples(app, tmp_path):
    """As the Space builder does it: the bundle's requirements and the builder's own line, in a new venv."""
    made = build(app, out=tmp_path / "space")
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    line = f"gradio[oauth,mcp]=={bundles.SDK_VERSION}"
    requirements = str(made.folder / "requirements.txt")
    install = [str(python), "-m", "pip", "install", "--quiet", "-r", requirements, line]
    subprocess.run(install, check=True, timeout=1200)
    installed = subprocess.run(
        [str(python), "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True
    ).stdout
    assert not re.search(r"^(tensorflow|keras|torch)==", installed, re.MULTILINE)
    assert ("librosa" in installed) == (app == "speech_to_text")
    port = free_port()
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GRADIO_SERVER_PORT": str(port)}
    begun = time.monotonic()
    with (tmp_path / "log.txt").open("w", encoding="utf-8") as log:
        server = subprocess.Popen(
            [str(python), "app.py"], cwd=made.folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            client = connect(f"http://127.0.0.1:{port}/", server)
            answered = answer_examples(client, ROOT / "apps" / app / "examples")
            print(
                f"{app}: {answered} examples, {time.monotonic() - begun:.1f} s from start to the last answer"
            )
            assert answered
        finally:
            server.terminate()
            server.wait(20)


def connect(url: str, server: subprocess.Popen, seconds: float = 120):
    """A gradio_client of a server that is starting."""
    from gradio_client import Client

    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(Exception):
            return Client(url, verbose=False)
        assert server.poll() is None, "the server ended"
        assert time.monotonic() < deadline, "the server did not answer"
        time.sleep(0.2)


def answer_examples(client, examples: Path) -> int:
    """Ask every example the app ships; how many were answered."""
    from gradio_client import handle_file

    def argument(value):
        if isinstance(value, dict) and "file" in value:
            return handle_file(str(examples / value["file"]))
        if isinstance(value, dict) and "files" in value:
            return [handle_file(str(examples / name)) for name in value["files"]]
        return value

    cases = json.loads((examples / "expected.json").read_text(encoding="utf-8"))
    for case in cases:
        if "args" in case:
            values = [argument(v) for v in case["args"]]
        else:
            given = case["input"]
            is_file = (
                isinstance(given, str) and (examples / given).is_file() if len(str(given)) < 200 else False
            )
            values = [handle_file(str(examples / given)) if is_file else given]
        assert client.predict(*values, api_name=case["api_name"]) is not None
    return len(cases)


# --- Uploading -------------------------------------------------------------------------------------------


class Hub:
    """Stands for `HfApi`: remembers what was asked, and how a Space ends."""

    def __init__(self, stage: str = "RUNNING"):
        self.stage = stage
        self.calls: list[tuple] = []

    def create_repo(self, repo, **options):
        self.calls.append(("create", repo, options))

    def upload_folder(self, **options):
        folder = Path(options["folder_path"])
        files = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
        self.calls.append(("upload", options["repo_id"], {**options, "files": files}))

    def wait_for_space(self, repo, **options):
        return types.SimpleNamespace(stage=self.stage)

    def fetch_space_logs(self, repo, *, build):
        yield f"build={build}\n"
        yield "ModuleNotFoundError: No module named 'librosa'\n"


def test_push_uploads_the_bundle_and_gives_the_address(repository):
    hub = Hub()
    address = push_space(build_greeter(repository), "me/greeter", hub)
    assert address == "https://huggingface.co/spaces/me/greeter"
    assert hub.calls[0] == (
        "create",
        "me/greeter",
        {"repo_type": "space", "space_sdk": "gradio", "private": False, "exist_ok": True},
    )
    assert "app.py" in hub.calls[1][2]["files"]
    assert ".space" in hub.calls[1][2]["ignore_patterns"]


@pytest.mark.parametrize(("stage", "build_log"), [("BUILD_ERROR", True), ("RUNTIME_ERROR", False)])
def test_push_tells_the_log_of_a_space_that_failed(repository, stage, build_log):
    with pytest.raises(SpaceError) as caught:
        push_space(build_greeter(repository), "me/greeter", Hub(stage))
    assert stage in str(caught.value)
    assert f"build={build_log}" in str(caught.value)
    assert "No module named 'librosa'" in str(caught.value)


def test_push_without_a_token_only_tells(repository, capsys):
    push_space(build_greeter(repository), "me/greeter", None)
    told = capsys.readouterr().out
    assert "Dry run" in told
    assert "models/greeter/small/model.onnx" in told
    assert "HF_TOKEN" in told


@pytest.mark.parametrize("repo", ["greeter", "me/you/greeter", "me/gree ter", ""])
def test_push_wants_a_repository_name(repository, repo):
    with pytest.raises(SpaceError, match="USER/NAME"):
        push_space(build_greeter(repository), repo, Hub())


def test_push_model_takes_both_formats_and_the_card(tmp_path):
    write_variant(tmp_path / "small")
    (tmp_path / "small" / "model.keras").write_bytes(b"0")
    hub = Hub()
    assert push_model(Variant("greeter", "small", tmp_path / "small"), "me/greeter", hub).endswith(
        "/me/greeter"
    )
    files = hub.calls[1][2]["files"]
    assert {"README.md", "model.onnx", "model.keras", "config.json"} <= set(files)
    assert "MODEL_CARD.md" not in files


def test_command_line_reports_errors_without_a_traceback(capsys):
    assert cli.main(["build", "no_such_app"]) == 1
    assert "apps/no_such_app/README.md must begin with front matter" in capsys.readouterr().err


# --- The static page -------------------------------------------------------------------------------------


@contextlib.contextmanager
def served(folder: Path):
    """A plain web server, as a static Space is one."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    handler.log_message = lambda *a: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_static_page_is_for_classifiers(repository):
    from shared.space.static_site import build_static

    with pytest.raises(SpaceError, match="lacks class_names"):
        build_static(
            "greeter",
            out=repository / "out",
            models_dir=repository / "models",
            repository=repository,
            runtime=repository,
        )


@pytest.mark.slow
@pytest.mark.browser
def test_static_page_answers_as_the_server_does(open_page, tmp_path):
    """Every example photo, every variant: the same classes and probabilities within 0.02."""
    from shared.runtime.predictor import Predictor
    from shared.space.static_site import build_static

    variants = list_variants("image_classification")
    if not variants or not (ROOT / "apps" / "image_classification" / "README.md").is_file():
        pytest.skip("image_classification is not finished")
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    made = build_static("image_classification", out=tmp_path / "static")
    photos = sorted((ROOT / "apps" / "image_classification" / "examples").glob("*.jpg"))
    assert len(photos) >= 3
    page = open_page()
    with served(made.folder) as url:
        page.goto(url)
        page.wait_for_selector("body[data-ready]")
        for variant in variants:
            predictor = Predictor(variant)
            if len(variants) > 1:
                page.select_option("#variant", variant.name)
            for photo in photos:
                page.evaluate("delete document.body.dataset.result")
                page.set_input_files("#file", str(photo))
                page.wait_for_selector("body[data-result]", timeout=60_000)
                answer = json.loads(page.evaluate("document.body.dataset.result"))
                assert answer["model"] == variant.name
                expected = predictor.predict(photo, top_k=5)
                known = dict(zip(expected.labels, expected.probabilities, strict=True))
                assert answer["classes"][0]["label"] == expected.top, photo.name
                for found in answer["classes"][:3]:
                    if found["label"] in known:
                        assert abs(found["probability"] - known[found["label"]]) < 0.02, (photo.name, found)
        page.set_input_files(
            "#file", files=[{"name": "x.png", "mimeType": "image/png", "buffer": b"no picture"}]
        )
        page.get_by_text("not a picture that the browser can read").wait_for()
