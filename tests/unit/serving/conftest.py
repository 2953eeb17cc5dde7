from tests.serving_fixtures import tiny_adapters, tiny_base

__all__ = ["tiny_adapters", "tiny_base"]
