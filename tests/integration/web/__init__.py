"""The web pages on a real database, over ASGI and in a browser."""
