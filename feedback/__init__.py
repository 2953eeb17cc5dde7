"""The system of record and everything about people's feedback.

The bottom layer: it imports no Slack library and no torch, and nothing of `bot` or `retrain`.
"""
