"""Knowledge: the operator's documents, cut into chunks, indexed, kept fresh and searched."""
