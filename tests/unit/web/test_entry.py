"""The rules at the door, without a server: hosts, sessions, redirects; and the packaged files."""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.errors import ConfigurationError
from feedback.settings import load_settings
from feedback.web import sessions
from feedback.web.login import local_path
from feedback.web.metrics import Gauge, exposition
from feedback.web.site import is_loopback, require_guarded

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
VENDOR = Path(sessions.__file__).parent / "static" / "vendor"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_this_machine_needs_no_token(host: str) -> None:
    require_guarded(host, None)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "10.1.2.3", "pages.example", "", "127.0.0.1.nip.io"]
)
def test_other_machines_need_a_token(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(ConfigurationError, match="UNDERSTUDY_WEB__TOKEN"):
        require_guarded(host, None)
    require_guarded(host, "correct horse battery")


def test_a_short_token_is_refused_and_a_good_one_stays_out_of_sight() -> None:
    with pytest.raises(ConfigurationError, match="UNDERSTUDY_WEB__TOKEN"):
        load_settings({"UNDERSTUDY_WEB__TOKEN": "short"})
    settings = load_settings({"UNDERSTUDY_WEB__TOKEN": "correct horse battery"})
    assert "horse" not in repr(settings)


def test_a_session_is_good_until_it_ends() -> None:
    cookie = sessions.issue("token", NOW)
    assert sessions.is_valid("token", cookie, NOW + sessions.LIFETIME - timedelta(seconds=1))
    assert not sessions.is_valid("token", cookie, NOW + sessions.LIFETIME)
    assert not sessions.is_valid("another", cookie, NOW)


@given(st.text())
def test_nobody_guesses_a_session(cookie: str) -> None:
    assert not sessions.is_valid("token", cookie, NOW)


def test_a_session_cannot_be_made_longer() -> None:
    expires, _, signature = sessions.issue("token", NOW).partition(".")
    assert not sessions.is_valid("token", f"{int(expires) + 1}.{signature}", NOW)


@pytest.mark.parametrize(
    ("target", "kept"),
    [
        ("/cycles/c1?x=1", "/cycles/c1?x=1"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
    ],
)
def test_a_login_leads_to_pages_of_this_site_only(target: str, kept: str) -> None:
    assert local_path(target) == kept


def test_metrics_escape_their_labels() -> None:
    odd = Gauge(name="m", help="Help.", labels=("l",), samples={('a"b\\c\nd',): 1.5})
    none = Gauge(name="n", help="Help.", samples={})
    assert exposition([odd, none]) == (
        '# HELP m Help.\n# TYPE m gauge\nm{l="a\\"b\\\\c\\nd"} 1.5\n'
    )


def test_packaged_libraries_are_what_their_table_says() -> None:
    table = (VENDOR / "README.md").read_text()
    rows = re.findall(r"\| `([^`]+\.js)` \| .+ \| .+`([^`]+\.txt)` \| `([0-9a-f]{64})` \|", table)
    assert {name for name, _, _ in rows} == {path.name for path in VENDOR.glob("*.js")}
    for name, licence, digest in rows:
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest
        assert (VENDOR / licence).stat().st_size > 500
