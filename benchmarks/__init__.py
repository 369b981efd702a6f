"""Side-by-side runs against what a user would pick instead. `python -m benchmarks` runs and tabulates them."""
