"""Dimensions of a Llama that takes milliseconds."""

from shepherd.architectures import Architecture

SMALL = Architecture(
    hidden_size=64,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    intermediate_size=160,
    vocab_size=96,
)
