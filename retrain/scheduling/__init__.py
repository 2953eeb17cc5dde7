"""When cycles start, who leads, and APScheduler's jobs."""
