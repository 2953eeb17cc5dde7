"""Operators' rules without a database."""
