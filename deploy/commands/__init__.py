"""Subcommands of `understudy`, one module a topic; `deploy.cli` assembles them."""
