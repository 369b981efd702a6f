"""Layers that Keras lacks. Importing the package registers them, so that a `.keras` file with them loads."""

from shared.layers import bilinear as bilinear
