"""The reference names every setting, command, error, table, metric, state and row key there is."""

import re
from collections.abc import Callable
from dataclasses import fields

import pytest

from feedback.domain.cycle import CycleOutcome, CycleState
from feedback.domain.interaction import InteractionRecord, Rating, Reason
from feedback.domain.learning import AdapterState, DeploymentState
from feedback.domain.pattern import PatternKind, Signal, Verdict
from feedback.settings import load_settings
from feedback.store.tables import metadata
from retrain.dataset.cleaning import CLEANER_NAMES
from retrain.experiments import events
from retrain.experiments.machine import State
from tests.docs import cli_page, database_page, errors_page, settings_page
from tests.docs.generate import PAGES, REFERENCE, ROOT

COOKIE = "understudy_session"  # a name of the same form that is no metric
REPAIR = "run `make docs` and commit what it changed"


@pytest.mark.parametrize("name", sorted(PAGES))
def test_generated_pages_are_fresh(name: str) -> None:
    assert (REFERENCE / name).read_text(encoding="utf-8") == PAGES[name](), REPAIR


def test_every_setting_has_a_meaning_and_can_be_set() -> None:
    found = settings_page.settings()
    assert len(found) > 40
    assert [item.variable for item in found if not item.meaning] == []
    plain = {
        item.variable: item.default.strip("`") for item in found if item.default.startswith("`")
    }
    load_settings(plain)  # every documented name and default is accepted


def test_every_command_is_explained() -> None:
    found = cli_page.commands()
    assert len(found) > 20
    assert [command.name for command in found if not command.about] == []
    unexplained = [
        f"{command.name} {parameter.written}"
        for command in found
        for parameter in command.parameters
        if not parameter.meaning
    ]
    assert unexplained == []


def test_every_error_stands_in_the_tree() -> None:
    assert set(errors_page.kinds()) == errors_page.defined()


def test_every_table_has_its_sentence() -> None:
    assert set(database_page.ABOUT) == set(metadata.tables)


def test_every_metric_is_documented() -> None:
    page = _page("metrics.md")
    sources = [*(ROOT / "feedback" / "web").glob("*.py"), *(ROOT / "retrain/server").glob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    names = set(re.findall(r"\"((?:understudy|tgi)_[a-z_]+)\"", text)) - {COOKIE}
    names |= {f"understudy_{name}" for name in re.findall(r"_gauge\(\"([a-z_]+)\"", text)}
    names |= set(re.findall(r"# TYPE (tgi_[a-z_]+) ", text))
    assert len(names) > 12
    assert sorted(name for name in names if f"`{name}`" not in page) == []


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("cycle-states.md", lambda: [*CycleState, *CycleOutcome, *DeploymentState, *AdapterState]),
        ("cycle-states.md", lambda: [state.value for state in State]),
        ("row-formats.md", lambda: [field.name for field in fields(InteractionRecord)]),
        ("row-formats.md", lambda: [*Rating, *Reason, *PatternKind, *Verdict, *Signal]),
        ("row-formats.md", lambda: list(events._PARSERS)),
        ("row-formats.md", lambda: list(CLEANER_NAMES)),
    ],
)
def test_pages_name_every_value(page: str, words: Callable[[], list[str]]) -> None:
    text = _page(page)
    wanted = [str(word) for word in words() if word != "extra"]
    assert wanted
    assert [word for word in wanted if f"`{word}`" not in text] == []


def _page(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")
