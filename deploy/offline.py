"""What the offline commands share: the embedder that needs no network and no other process."""

import torch

from retrain.embedding import MiniLmEmbedder


def offline_embedder(threads: int = 1) -> MiniLmEmbedder:
    """Returns the packaged all-MiniLM-L6-v2, computing on `threads` CPU threads."""
    torch.set_num_threads(threads)
    return MiniLmEmbedder()
