"""Mining: which failures repeat, who they hit, and the cheapest fix for each.

Pure rules over rows and arrays: no database, no network. Vectors come in as arrays.
"""
