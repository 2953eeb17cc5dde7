"""Every page: links resolve, decisions are numbered, nothing of one machine gets in."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs import cli_page, settings_page
from tests.docs.generate import ROOT

PAGES = sorted(
    [
        *(ROOT / "docs").rglob("*.md"),
        *(path for path in ROOT.glob("*.md") if path.is_file()),
    ]
)
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
PARTS = ("**Status.**", "**Context.**", "**Decision.**", "**Consequences.**", "**How to reverse.**")

COMMANDS = [
    "db revision",  # hidden from help: for developers
    *(command.name.removeprefix("understudy ") for command in cli_page.commands()),
]
VARIABLES = {setting.variable for setting in settings_page.settings()}
TARGETS = set(re.findall(r"^([a-z%-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

_COMMAND = re.compile(r"(?:`|^|bin/)understudy ((?:[a-z][a-z-]+ ?){1,2})", re.MULTILINE)
_MAKE = re.compile(r"(?:`|^)make ([a-z][a-z-]*)", re.MULTILINE)
_VARIABLE = re.compile(r"UNDERSTUDY_[A-Z_]*[A-Z]")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_PATH = re.compile(r"`((?:bot|deploy|docs|feedback|migrations|retrain|tests)/[\w./-]+)`")
_FORBIDDEN = re.compile(
    r"/(?:work|tmp|root|home)/"  # folders of one machine
    r"|\.local\b|artifactory|nexus|pypi\.org/simple|registry\.npmjs|proxy\.golang"  # registries
    r"|\b(?:TODO|FIXME|lorem ipsum)\b",
    re.IGNORECASE,
)


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_there_are_pages_of_every_kind() -> None:
    for kind in ("tutorial", "how-to", "reference", "explanation", "decisions"):
        assert list((ROOT / "docs" / kind).glob("*.md")), kind
    assert len(PAGES) > 40


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_resolve(page: Path) -> None:
    broken = [target for target in _links(page) if not _resolves(page, target)]
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_named_files_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [path for path in _PATH.findall(text) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_nothing_of_one_machine(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [match.group() for match in _FORBIDDEN.finditer(text)] == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_named_commands_targets_and_settings_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = {" ".join(words.split()) for words in _COMMAND.findall(text)}
    assert [name for name in named if not any(_begins(known, name) for known in COMMANDS)] == []
    assert [name for name in _MAKE.findall(text) if not _is_target(name)] == []
    assert set(_VARIABLE.findall(text)) - VARIABLES == set()


def test_every_page_is_reachable_from_the_index() -> None:
    start = ROOT / "docs" / "index.md"
    seen, waiting = {start}, [start]
    while waiting:
        page = waiting.pop()
        for target in _links(page):
            path = (page.parent / target.partition("#")[0]).resolve()
            if path.suffix == ".md" and path.exists() and path not in seen:
                seen.add(path)
                waiting.append(path)
    assert (
        sorted(_name(page) for page in PAGES if page not in seen and _name(page) != NOT_OURS) == []
    )


NOT_OURS = "README.md"
"""It links to the index and not the other way round."""


def test_decisions_are_numbered_from_one_without_gaps() -> None:
    numbers = [path.name[:4] for path in DECISIONS if path.name != "index.md"]
    assert numbers == [f"{number:04d}" for number in range(1, len(numbers) + 1)]


@pytest.mark.parametrize("record", [d for d in DECISIONS if d.name != "index.md"], ids=_name)
def test_a_decision_has_its_parts(record: Path) -> None:
    text = record.read_text(encoding="utf-8")
    assert text.startswith(f"# {int(record.name[:4])}. ")
    places = [text.find(part) for part in PARTS]
    assert [part for part, place in zip(PARTS, places, strict=True) if place < 0] == []
    assert places == sorted(places)


def test_the_newest_version_has_its_changes() -> None:
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert version is not None
    assert newest is not None
    assert newest.group(1) == version.group(1)


def _begins(known: str, name: str) -> bool:
    """Whether `name` is the command or its group, or the command with a word as argument."""
    return known == name or known.startswith(f"{name} ") or name.startswith(f"{known} ")


def _is_target(name: str) -> bool:
    bench = ROOT / "tests" / "benchmarks" / f"bench_{name.removeprefix('bench-')}.py"
    return name in TARGETS or (name.startswith("bench-") and bench.exists())


def _links(page: Path) -> Iterator[str]:
    text = _CODE.sub("", page.read_text(encoding="utf-8"))
    for plain, image in _LINK.findall(text):
        target = plain or image
        if not re.match(r"[a-z]+:", target):
            yield target


def _resolves(page: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    path = page if not name else (page.parent / name)
    if not path.exists():
        return False
    return not anchor or anchor in _anchors(path)


def _anchors(path: Path) -> set[str]:
    """Returns the anchors that GitHub gives the headings of a page."""
    headings = re.findall(
        r"^#+ +(.+?) *$", _CODE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
