"""Thin Bolt listeners, one module per topic: acknowledge, call the use case, show the outcome."""
