"""The gallery's server: cards, languages, pages built when opened, one app's failure kept from the others."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import fastapi
import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

import apps
from shared.demo import lazy
from shared.demo.catalog import read_app
from shared.demo.gallery import gallery
from shared.demo.language import COOKIE, preferred
from shared.files.errors import InputError
from tests.conftest import running
from tests.made_up_apps import write_apps

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return write_apps(tmp_path_factory.mktemp("made-up"))


@pytest.fixture(scope="module")
def client(folders):
    """A running gallery of the made-up apps."""
    root, models = folders
    patch = pytest.MonkeyPatch()
    patch.setenv("GALLERY_MODELS_DIR", str(models))
    patch.setattr(apps, "__path__", [str(root), *apps.__path__])
    options = argparse.Namespace(runtime="onnx", mcp=True)
    with TestClient(gallery(apps.list_apps(root), options), raise_server_exceptions=False) as running:
        yield running
    for name in [m for m in sys.modules if re.match(r"apps\.(greeter|broken|untrained)\b", m)]:
        del sys.modules[name]
    patch.undo()


def call(client: TestClient, app: str, name: str, data: list, **headers: str) -> tuple[str, object]:
    """Ask an event over HTTP; gives the last event's kind and data."""
    started = client.post(f"/{app}/gradio_api/call/{name}", json={"data": data}, headers=headers)
    assert started.status_code == 200, started.text
    text = client.get(f"/{app}/gradio_api/call/{name}/{started.json()['event_id']}", headers=headers).text
    kind, answer = re.findall(r"event: (\w+)\ndata: (.*)", text)[-1]
    return kind, json.loads(answer)


# --- The front page --------------------------------------------------------------------------------------


def test_front_page_has_a_card_for_each_app_with_its_facts(client):
    page = client.get("/").text
    assert page.count('<li class="card">') == 3
    assert "91.2\N{NO-BREAK SPACE}%" in page
    assert "4.9\N{NO-BREAK SPACE}MB" in page
    assert "8.3\N{NO-BREAK SPACE}ms" in page
    assert '<img class="picture" src="/pictures/greeter" alt="A result of this app: Greeter"' in page
    assert "python -m apps.untrained.train" in page
    assert client.get("/pictures/greeter").headers["content-type"] == "image/png"


@pytest.mark.parametrize(
    ("headers", "cookies", "query", "expected"),
    [
        ({}, {}, "", "en"),
        ({"accept-language": "es-MX,es;q=0.9"}, {}, "", "es"),
        ({"accept-language": "fr, es;q=0.4, en;q=0.8"}, {}, "", "en"),
        ({"accept-language": "es"}, {COOKIE: "en"}, "", "en"),
        ({}, {COOKIE: "en"}, "?lang=es", "es"),
        ({}, {}, "?lang=xx", "en"),
    ],
)
def test_language_is_the_choice_then_the_browsers(client, headers, cookies, query, expected):
    client.cookies.clear()
    response = client.get(f"/{query}", headers=headers, cookies=cookies)
    client.cookies.clear()
    assert f'<html lang="{expected}">' in response.text
    assert ("Tamaño" in response.text or "tamaño del modelo" in response.text) == (expected == "es")
    assert (response.cookies.get(COOKIE) == "es") == (query == "?lang=es")


@pytest.mark.parametrize(
    ("header", "expected"),
    [("", "en"), ("es", "es"), ("de,es;q=0.2", "es"), ("en;q=0.1,es;q=0.2", "es"), ("es;q=x,en", "en")],
)
def test_accept_language_by_quality(header, expected):
    assert preferred(header) == expected


def test_without_any_model_the_page_says_how_to_train_one(tmp_path, monkeypatch):
    root, _ = write_apps(tmp_path)
    monkeypatch.setenv("GALLERY_MODELS_DIR", str(tmp_path / "nothing"))
    options = argparse.Namespace(runtime="onnx", mcp=False)
    with TestClient(gallery(apps.list_apps(root), options)) as empty:
        page = empty.get("/").text
    assert "No trained model yet" in page
    assert "-m apps.broken.train --data PATH" in page
    assert '<li class="card">' not in page


# --- Pages built when opened -----------------------------------------------------------------------------


def test_an_app_is_built_when_first_opened_and_once(client):
    page = client.app.state.pages["greeter"]
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(client.get("/greeter/").status_code)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 4
    first = page.app
    assert client.get("/greeter/").status_code == 200
    assert page.app is first


def test_opening_the_front_page_builds_nothing(folders, monkeypatch):
    monkeypatch.setenv("GALLERY_MODELS_DIR", str(folders[1]))
    options = argparse.Namespace(runtime="onnx", mcp=False)
    with TestClient(gallery(apps.list_apps(folders[0]), options)) as fresh:
        assert fresh.get("/").status_code == 200
        assert all(page.app is None for page in fresh.app.state.pages.values())


def test_a_broken_app_tells_its_error_and_the_others_go_on(client):
    response = client.get("/broken/")
    assert response.status_code == 503
    assert "ImportError: a library is &lt;missing&gt;" in response.text
    assert client.get("/untrained/").status_code == 503
    card = client.get("/").text.split('href="/broken/"')[1].split("</li>")[0]
    assert "ImportError: a library is &lt;missing&gt;" in card
    assert client.get("/greeter/").status_code == 200


def test_a_failed_app_is_tried_again_and_comes_back(monkeypatch):
    monkeypatch.setattr(lazy, "RETRY_AFTER_S", 0.0)
    events = []

    @contextlib.asynccontextmanager
    async def lifespan(app):
        events.append("started")
        yield
        events.append("ended")

    def build():
        events.append("build")
        if events.count("build") == 1:
            raise ImportError("not yet")
        inner = fastapi.FastAPI(lifespan=lifespan)
        inner.get("/")(lambda: "here")
        return inner

    page = lazy.LazyApp("late", build, lambda request, error: PlainTextResponse(error, 503))
    host = fastapi.FastAPI()
    host.mount("/late", page)
    host.router.add_event_handler("shutdown", page.close)
    with TestClient(host) as client:
        assert client.get("/late/").text == "ImportError: not yet"
        assert page.error
        assert client.get("/late/").json() == "here"
        assert page.error is None
        assert events == ["build", "build", "started"]
    assert events[-1] == "ended"


# --- An app's page ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "es"])
def test_page_comes_in_the_visitors_language_with_our_head_first(client, language):
    page = client.get(f"/greeter/?lang={language}").text
    assert f'lang="{language}"' in page[:200]
    assert page.index("gallery_language") < page.index("window.gradio_config")
    assert "__i18n__" not in page
    assert ('"label":"Tu nombre"' in page) == (language == "es")
    # A table header, which Gradio itself does not translate.
    assert ('"headers":["Saludo"]' in page) == (language == "es")


@pytest.mark.parametrize(("language", "expected"), [("en", "Hello Ana"), ("es-ES,es;q=0.9", "Hola Ana")])
def test_answers_come_in_the_visitors_language(client, language, expected):
    kind, data = call(client, "greeter", "predict", ["Ana", "small"], **{"accept-language": language})
    assert kind == "complete"
    assert data[0] == expected
    path = data[3]["path"]
    download = client.get(f"/greeter/gradio_api/file={path}")
    assert download.text == expected
    assert os.stat(Path(path).parent).st_mode & 0o077 == 0


def test_files_have_the_address_of_their_app_with_and_without_the_queue(client):
    answer = client.post("/greeter/gradio_api/run/predict", json={"data": ["Ana", "small"]}).json()
    _, queued = call(client, "greeter", "predict", ["Ana", "small"])
    for file in (answer["data"][3], queued[3]):
        assert file["url"].startswith("http://testserver/greeter/gradio_api/file="), file["url"]
        assert client.get(file["url"]).text == "Hello Ana"


@pytest.mark.parametrize(("language", "part"), [("en", "type one"), ("es", "escribe uno")])
def test_refusals_say_what_would_work(client, language, part):
    kind, data = call(client, "greeter", "predict", ["", "small"], **{"accept-language": language})
    assert kind == "error"
    assert part in data["error"]
    assert data["title"] in ("This cannot be used", "Esto no se puede usar")


def test_an_unexpected_error_tells_nothing_of_the_input(client, caplog, capfd):
    kind, data = call(client, "greeter", "predict", ["crash", "small"])
    assert kind == "error"
    assert "ZeroDivisionError" in data["error"]
    told = json.dumps(data) + caplog.text + "".join(capfd.readouterr())
    assert "secret of the visitor" not in told
    assert "greeter" in caplog.text


@pytest.mark.parametrize("path", ["/etc/passwd", str(ROOT / "pyproject.toml"), "../../../etc/passwd"])
def test_no_file_of_the_server_can_be_read(client, path, capfd):
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    kind, data = call(client, "greeter", "look", [file])
    assert kind == "error"
    assert "could not be read" in data["error"]
    assert client.get(f"/greeter/gradio_api/file={path}").status_code in (403, 404)
    assert path not in "".join(capfd.readouterr())


def test_a_file_that_is_no_picture_is_refused_without_paths_of_the_server(client):
    uploaded = client.post("/greeter/gradio_api/upload", files={"files": ("cat.png", b"no picture")}).json()[
        0
    ]
    kind, data = call(client, "greeter", "look", [{"path": uploaded, "meta": {"_type": "gradio.FileData"}}])
    if kind == "error":
        assert os.path.dirname(uploaded) not in data["error"]
        assert "cannot be used" in data["title"]


def test_an_upload_over_the_limit_is_refused(client):
    from shared.demo.web import MAX_UPLOAD_BYTES

    response = client.post(
        "/greeter/gradio_api/upload", files={"files": ("big.png", b"0" * (MAX_UPLOAD_BYTES + 1))}
    )
    assert response.status_code == 413


# --- Cards, reports, code --------------------------------------------------------------------------------


def test_model_card_is_rendered_and_its_html_stays_text(client):
    page = client.get("/models/greeter/small/card").text
    assert "<h1>Greeter: small</h1>" in page
    assert "<td>accuracy</td>" in page
    assert "license: mit" not in page
    assert "<img src=x" not in page


def test_report_may_load_nothing_from_outside(client):
    response = client.get("/models/greeter/small/report")
    assert "<h1>Report</h1>" in response.text
    assert "default-src 'none'" in response.headers["content-security-policy"]


def test_code_lists_the_apps_files_and_no_others(client):
    page = client.get("/code/greeter/").text
    assert 'href="demo.py"' in page
    assert "<script>alert(1)" not in page
    assert "def build_demo" in client.get("/code/greeter/demo.py").text
    for path in ("..%2f..%2fpyproject.toml", "examples", "nothing.py"):
        assert client.get(f"/code/greeter/{path}").status_code == 404


@pytest.mark.parametrize(
    "path",
    ["/nothing/", "/models/greeter/none/card", "/models/none/small/card", "/code/none/", "/pictures/none"],
)
def test_unknown_addresses_get_a_page(client, path):
    response = client.get(path)
    assert response.status_code == 404
    assert "There is no such page" in response.text


# --- The API ---------------------------------------------------------------------------------------------


def test_one_openapi_document_describes_every_app(client):
    document = client.get("/openapi.json").json()
    assert "/greeter/gradio_api/call/v2/predict" in document["paths"]
    ids = [op["operationId"] for methods in document["paths"].values() for op in methods.values()]
    assert len(ids) == len(set(ids))
    assert all(i.startswith("greeter_") for i in ids)
    assert "__i18n__" not in json.dumps(document)


def test_api_page_tells_parameters_in_plain_words(client):
    page = client.get("/docs").text
    assert "Greet somebody." in page
    assert "Your name" in page
    assert "a library is &lt;missing&gt;" in page
    assert "/greeter/gradio_api/mcp/" in page


def test_mcp_tools_are_documented(client):
    tools = {tool["name"]: tool for tool in client.get("/greeter/gradio_api/mcp/schema").json()}
    (predict,) = [tool for name, tool in tools.items() if name.endswith("predict")]
    assert "Greet somebody" in predict["description"]
    assert predict["inputSchema"]["properties"]["name"]["description"] == "Who."


def rpc(client: TestClient, method: str, **params) -> dict:
    headers = {"accept": "application/json, text/event-stream"}
    message = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
    return client.post("/mcp", json=message, headers=headers).json()


def test_one_mcp_server_lists_every_apps_tools(client):
    tools = {tool["name"]: tool for tool in rpc(client, "tools/list")["result"]["tools"]}
    assert "greeter__predict" in tools
    assert "Greet somebody" in tools["greeter__predict"]["description"]
    assert tools["greeter__predict"]["inputSchema"]["properties"]["name"]["description"] == "Who."


def test_mcp_names_the_apps_when_a_tool_is_unknown(client):
    result = rpc(client, "tools/call", name="nobody__predict", arguments={})["result"]
    assert result["isError"]
    assert "greeter__..." in result["content"][0]["text"]


# --- The process -----------------------------------------------------------------------------------------


def test_serving_imports_no_tensorflow(folders, tmp_path):
    script = (
        "import sys, argparse; sys.path.insert(0, '.');"
        "import apps; from pathlib import Path; from starlette.testclient import TestClient;"
        "from shared.demo.gallery import gallery; root = Path(sys.argv[1]);"
        "light = 'gradio' in sys.modules; apps.__path__.insert(0, str(root));"
        "server = gallery(apps.list_apps(root), argparse.Namespace(runtime='onnx', mcp=False));"
        "client = TestClient(server).__enter__();"
        "assert client.get('/greeter/').status_code == 200; assert not light;"
        "heavy = {'tensorflow', 'keras', 'keras_hub', 'tensorflow_datasets', 'torch', 'jax', 'librosa', 'sklearn'};"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    environment = {**os.environ, "GALLERY_MODELS_DIR": str(folders[1])}
    done = subprocess.run(
        [sys.executable, "-c", script, str(folders[0])],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert "HEAVY []" in done.stdout, done.stdout + done.stderr[-3000:]


def test_mcp_answers_over_one_address(folders, tmp_path):
    """Against a real server: an app's tool asks its own page over HTTP."""
    import httpx

    root = folders[0].parent
    command = [sys.executable, str(ROOT / "tests" / "serve_made_up.py"), str(root), "--mcp"]
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "greeter__predict", "arguments": {"name": "Ana", "variant": "small"}},
    }
    headers = {"accept": "application/json, text/event-stream"}
    with running(command, tmp_path / "log.txt") as url:
        answer = httpx.post(f"{url}/mcp", json=message, headers=headers, timeout=200).json()
    assert "Hello Ana" in answer["result"]["content"][0]["text"]


def test_a_taken_port_is_named(folders):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "apps", "--port", str(port)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    assert f"--port {port + 1}" in done.stderr


# --- Parts -----------------------------------------------------------------------------------------------


def test_catalog_survives_broken_files(tmp_path):
    folder = tmp_path / "strange_app"
    folder.mkdir()
    (folder / "demo.py").write_text("this is no python", encoding="utf-8")
    (folder / "README.md").write_text("---\n: [\n---\n", encoding="utf-8")
    app = read_app(folder)
    assert app.title == {"en": "Strange app", "es": "Strange app"}
    assert app.picture is None
    assert app.variants() == []


def test_catalog_reads_texts_that_are_put_together(tmp_path):
    folder = tmp_path / "joined"
    folder.mkdir()
    (folder / "demo.py").write_text("", encoding="utf-8")
    (folder / "texts.py").write_text(
        'T = Texts(en={"title": "Joined", "subtitle": "One."} | {n: n for n in NAMES}, '
        'es={"title": "Unido", "subtitle": "Uno."} | MORE)',
        encoding="utf-8",
    )
    app = read_app(folder)
    assert app.title == {"en": "Joined", "es": "Unido"}
    assert app.summary == {"en": "One.", "es": "Uno."}


def test_friendly_needs_a_request_and_keeps_generators():
    import inspect

    import gradio as gr

    from shared.demo.errors import friendly

    with pytest.raises(TypeError, match="request"):
        friendly(lambda text: text)

    @friendly
    def steps(text: str, request: gr.Request):
        yield text
        raise InputError("Too long: use less.", "Demasiado largo: usa menos.")

    assert inspect.isgeneratorfunction(steps)
    answers = steps("a", None)
    assert next(answers) == "a"
    with pytest.raises(gr.Error, match="use less"):
        next(answers)


def test_texts_need_both_languages():
    from shared.demo.i18n import Texts

    with pytest.raises(ValueError, match="goodbye"):
        Texts(en={"hello": "Hello", "goodbye": "Bye"}, es={"hello": "Hola"})
    texts = Texts(en={"n": "{n} words"}, es={"n": "{n} palabras"})
    assert texts.say("n", None, n=3) == "3 words"
    with pytest.raises(KeyError):
        texts("unknown")


def test_downloads_have_safe_names_and_own_folders():
    from shared.demo.downloads import write_file

    first, second = (Path(write_file("../../etc/ca<t>.json", "{}")) for _ in range(2))
    assert first.name == "ca_t_.json"
    assert first.parent != second.parent
    assert first.read_text(encoding="utf-8") == "{}"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("accuracy", 0.9123, "91.2\N{NO-BREAK SPACE}%"), ("rmse", 0.8731, "0.873"), ("odd", 12.34, "12.3")],
)
def test_figures_read_as_people_say_them(name, value, expected):
    from shared.demo.facts import shown

    assert shown(name, value)[0] == expected
