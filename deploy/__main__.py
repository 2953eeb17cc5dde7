"""`python -m deploy` is `understudy`: what the stack uses to start its processes."""

from deploy.cli import main

main()
