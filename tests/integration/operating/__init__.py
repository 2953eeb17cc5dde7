"""Operators' acts on a real PostgreSQL: the brake, promotions, rollbacks, forgetting."""
