"""Clients of the model server: text generation by TGI's contract, embeddings by TEI's."""

from feedback.serving.embed import HttpEmbedder
from feedback.serving.fake import FakeTextGenerator
from feedback.serving.tgi import ScoredGeneration, TgiTextGenerator, TokenizedChat

__all__ = [
    "FakeTextGenerator",
    "HttpEmbedder",
    "ScoredGeneration",
    "TgiTextGenerator",
    "TokenizedChat",
]
