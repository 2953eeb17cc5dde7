"""Everything that knows Slack's payloads and methods."""
