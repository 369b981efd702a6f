"""Layers that Keras, keras-hub and keras-rs lack. Importing this package registers all of them."""

import importlib
import pkgutil

# A `.keras` file names its layers; whoever loads one has to have imported them, so every module here is.
for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
