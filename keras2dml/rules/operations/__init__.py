"""The rules for Keras' operations, of which models, losses and functions are written: those of
`keras.ops`, plain operators and slices.

An operation sees the examples of a batch as its first axis. What it does to that axis is refused:
an example's value depends on that example alone.
"""
