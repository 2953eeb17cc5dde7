"""Promote on evidence, and only then: a pure engine over an ordered log of events.

    rows -> events.parse_event -> log.ExperimentLog -> state.fold -> decision.Analysis -> Decision

Nothing here reads a clock, a file or a database. A decision is recomputed from the whole log at
every look, never updated, so that duplicates, late arrival and a killed process change nothing.
"""
