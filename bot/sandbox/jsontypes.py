"""JSON as it travels: Slack's payloads are open-ended, so their values stay untyped."""

from typing import Any

Json = dict[str, Any]
"""A JSON object."""

JsonValue = Any
"""Any JSON value."""
