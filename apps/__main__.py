"""`python -m apps`: the whole gallery on one port, one page an app.

The front page answers at once; an app is loaded when its page is first opened. TensorFlow is not imported.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from apps import list_apps
from shared.demo.gallery import gallery
from shared.demo.web import add_arguments, serve


def main(argv: Sequence[str] | None = None) -> None:
    """Serve the gallery until interrupted.

    Args:
        argv: Command line without the program name; `sys.argv[1:]` when None.
    """
    parser = argparse.ArgumentParser(prog="python -m apps", description="Serve every app on one port.")
    add_arguments(parser)
    options = parser.parse_args(argv)
    serve(gallery(list_apps(), options), options)


if __name__ == "__main__":
    main()
