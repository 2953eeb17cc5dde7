"""Work in processes of its own: a folder with a specification, a lock, and a result."""
