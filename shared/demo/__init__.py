"""The demo shell every app shares: one look, two languages, errors that help, downloads that expire.

Only this package, `demo.py`, `app.py` and `apps/__main__.py` import gradio; none of them imports TensorFlow.
"""

from shared.demo.web import prepare

# Before any Blocks exists: Gradio reads these settings when the first one is made.
prepare()
