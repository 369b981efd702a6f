# Two commands: `make gallery` and `make test`. Each says what it does; a second call starts at once.
SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python
PORT ?= 7860
MARKS := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help gallery test test-slow lint browser

help:
	@echo "make gallery    install what the demos need (no TensorFlow) and open every app on port $(PORT)"
	@echo "make test       install everything and run the tests"
	@echo "make test-slow  the tests that take long or need a package registry"
	@echo "make lint       ruff check and format check"

gallery: $(MARKS)-serve
	@case " $(ARGS) " in *" --mcp "*) $(PY) -c 'import mcp' 2>/dev/null || { \
	  echo "== Installing the MCP package (once)"; grep '^gradio==' requirements.txt | sed 's/gradio/gradio[mcp]/' > $(VENV)/mcp.txt; \
	  $(call install,$(VENV)/mcp.txt); };; esac
	@echo "== Starting the gallery on port $(PORT) (PORT=... chooses another; ARGS=--mcp serves agents too)"
	@exec $(PY) -m apps --port $(PORT) $(ARGS)

test: $(MARKS)-test browser
	@echo "== Running the tests"
	@$(PY) -m pytest $(ARGS)

test-slow: $(MARKS)-test browser
	@echo "== Running the slow tests"
	@$(PY) -m pytest -m slow $(ARGS)

lint: $(MARKS)-test
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check .

# --- Installing ---------------------------------------------------------------------------------------------

# Python 3.11 or 3.12, found by name: TensorFlow has no wheels yet for newer ones.
$(PY):
	@set -e; for name in python3.12 python3.11 python3; do \
	  if command -v $$name >/dev/null && $$name -c 'import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; \
	  then found=$$name; break; fi; done; \
	if [ -z "$$found" ]; then \
	  echo "error: Python 3.11 or 3.12 with the venv module is needed; found none of python3.12, python3.11, python3 to be one." >&2; \
	  echo "Install it (Debian, Ubuntu: apt-get install python3 python3-venv; or from python.org) and run make again." >&2; exit 1; fi; \
	echo "== Making $(VENV) with $$($$found --version)"; $$found -m venv $(VENV)

# A stamp holds what was installed last: it is older than a changed requirements file, so make installs again.
$(MARKS)-serve: requirements.txt | $(PY)
	@echo "== Installing what the demos need into $(VENV) (once; about 800 MB on disk)"
	@$(call install,requirements.txt)
	@touch $@

$(MARKS)-test: requirements.txt requirements-train.txt requirements-test.txt | $(PY)
	@echo "== Installing what training and the tests need into $(VENV) (once; about 2.5 GB, TensorFlow included)"
	@$(call install,requirements-test.txt)
	@touch $@ $(MARKS)-serve

# uv where the machine has it: the same packages in a tenth of the time.
define install
if command -v uv >/dev/null; then uv pip install --python $(PY) --quiet -r $(1); \
else $(PY) -m pip install -qq --disable-pip-version-check -r $(1); fi
endef

# The browser tests need a Chromium. Debian's is installed where that is possible without asking.
browser:
	@if [ -n "$$CHROMIUM" ] || command -v chromium chromium-browser google-chrome >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "== Installing Chromium for the browser tests (once)"; \
	  (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core) >/dev/null 2>&1 \
	    || echo "== Chromium could not be installed: the browser tests will be skipped"; \
	else echo "== No Chromium: the browser tests will be skipped (install one, or set CHROMIUM=/path/to/it)"; fi
