"""Block Kit as pure functions: what people see, made from what we know."""
