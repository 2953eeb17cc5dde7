"""The documentation is tested: generated pages are fresh, links resolve, nothing is left out."""
