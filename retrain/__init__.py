"""Datasets, QLoRA training, gates, publishing, experiments, scheduling, the local model server.

Stands on `feedback`; the only package that imports torch and its relatives. No Slack.
"""
