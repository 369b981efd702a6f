"""The six apps. `list_apps()` is the only registry: a folder with an `app.py` is an app."""
