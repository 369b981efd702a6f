"""Object detection: find, name and count the objects of an image (shipped: blood cells in smears)."""
