"""The demo shell every app shares: one look, two languages, errors that help, downloads that expire.

Only this package, `demo.py`, `app.py` and `apps/__main__.py` import gradio; none of them imports TensorFlow.
"""
