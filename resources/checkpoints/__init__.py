"""Load configs, tokenizers and weights of checkpoints, and refuse those that are damaged.

Importing this package loads no model library.
"""
