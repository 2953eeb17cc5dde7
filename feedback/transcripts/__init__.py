"""Brings in what a team said before the bot came: transcripts and Slack exports, redacted."""

from feedback.transcripts.reading import TranscriptImport, read_transcripts

__all__ = ["TranscriptImport", "read_transcripts"]
