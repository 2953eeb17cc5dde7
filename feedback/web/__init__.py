"""The web side: dashboard, health and metrics routes. Slack stays the main interface."""
