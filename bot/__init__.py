"""The Slack side: listeners, views, answering, assignment, the sandbox workspace.

Stands on `feedback`; the only package that imports slack_bolt and slack_sdk. No torch.
"""
