"""Clients of other hands, unchanged, against the model server."""
