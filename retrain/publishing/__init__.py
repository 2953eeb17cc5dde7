"""From a trained adapter to one that is provably served."""
