"""The outermost ring: the `understudy` command, composition roots, the local stack, the demo."""
