"""Frozen values and pure rules of the domain; no database, no network, no clock of their own."""
