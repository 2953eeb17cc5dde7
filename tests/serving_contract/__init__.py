"""TGI's published contract, and servers held to it."""
