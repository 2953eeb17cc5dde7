from tests.serving_fixtures import endless_base, server_url, tiny_adapters, tiny_base

__all__ = ["endless_base", "server_url", "tiny_adapters", "tiny_base"]
