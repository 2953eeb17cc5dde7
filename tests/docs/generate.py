"""Writes the generated reference pages: `python -m tests.docs.generate` (`make docs`)."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.docs import cli_page, database_page, errors_page, settings_page

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"

PAGES: Mapping[str, Callable[[], str]] = {
    "cli.md": cli_page.page,
    "database.md": database_page.page,
    "errors.md": errors_page.page,
    "settings.md": settings_page.page,
}


def main() -> None:
    """Writes every page; a fresh page is left alone."""
    for name, page in PAGES.items():
        path, text = REFERENCE / name, page()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stderr.write(f"wrote {path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
