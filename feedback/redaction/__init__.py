"""Removes names, identifiers and secrets from text before it is stored or sent to a model."""

from feedback.redaction.directory import Member, NameDirectory
from feedback.redaction.placeholders import PLACEHOLDER, PlaceholderScope
from feedback.redaction.redactor import REDACTION_VERSION, Redaction, Redactor
from feedback.redaction.spans import ENTITY_TYPES, PERSON, SECRET, Detector, Span

__all__ = [
    "ENTITY_TYPES",
    "PERSON",
    "PLACEHOLDER",
    "REDACTION_VERSION",
    "SECRET",
    "Detector",
    "Member",
    "NameDirectory",
    "PlaceholderScope",
    "Redaction",
    "Redactor",
    "Span",
]
