"""The all-in-one local stack: one supervisor, its processes, and the model-server fleet."""
