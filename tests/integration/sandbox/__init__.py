"""The sandbox with the real slack_bolt and slack_sdk."""
