"""`python -m shared.space build|push <app>`: an app as a Hugging Face Space, and its models on the Hub.

python -m shared.space build segmentation                        build/space/segmentation, runs alone
python -m shared.space build image_classification --static      a page without a server
python -m shared.space push segmentation --repo USER/NAME        build, upload, wait, tell the address
python -m shared.space push segmentation --repo USER/NAME --model --variant pets
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from shared.space.bundle import Bundle, SpaceError, build, choose
from shared.space.push import api_or_none, push_model, push_space


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; 0 when it worked."""
    options = _parser().parse_args(argv)
    try:
        if options.command == "push" and options.model:
            (variant,) = _one(choose(options.app, options.variant))
            print(push_model(variant, options.repo, api_or_none(options.dry_run), private=options.private))
            return 0
        bundle = _build(options)
        print(
            f"{bundle.folder}: {bundle.code_bytes / 1e6:.2f} MB without weights, "
            f"{bundle.weight_bytes / 1e6:.1f} MB of weights ({', '.join(bundle.variants)})"
        )
        if options.command == "push":
            sdk = "static" if options.static else "gradio"
            api = api_or_none(options.dry_run)
            print(push_space(bundle, options.repo, api, sdk=sdk, private=options.private))
        elif options.static:
            print(f"Try it: python -m http.server --directory {bundle.folder}")
        else:
            print(f"Try it: cd {bundle.folder} && pip install -r requirements.txt && python app.py")
    except SpaceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _build(options: argparse.Namespace) -> Bundle:
    if options.static:
        from shared.space.static_site import build_static

        return build_static(options.app, options.variant, options.out)
    return build(options.app, options.variant, options.out, models=options.models)


def _one(variants: list) -> list:
    if len(variants) != 1:
        names = ", ".join(v.name for v in variants)
        raise SpaceError(f"--model publishes one variant a repository: choose it with --variant ({names})")
    return variants


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m shared.space",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("build", "make the folder"), ("push", "build and upload it")):
        command = commands.add_parser(name, help=text)
        command.add_argument("app", help="folder name under apps/")
        command.add_argument("--variant", nargs="+", default=[], help="models to take; all by default")
        command.add_argument("--static", action="store_true", help="a page that answers in the browser")
        command.add_argument("--out", type=Path, default=None, help="default build/space/<app>")
        command.add_argument(
            "--models", nargs="+", default=[], metavar="USER/NAME", help="model repositories to name"
        )
    command.add_argument("--repo", required=True, metavar="USER/NAME")
    command.add_argument("--model", action="store_true", help="upload weights and card, not the Space")
    command.add_argument("--private", action="store_true", help="create the repository private")
    command.add_argument(
        "--dry_run",
        "--dry-run",
        action="store_true",
        help="tell what would be uploaded (also without a token)",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
