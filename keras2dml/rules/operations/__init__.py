"""The rules for Keras operations in models, losses and functions: those of `keras.ops`, operators
and slices.

The first axis of an operation's operands is the examples of a batch. Operations along that axis are
refused, since an example's value may only depend on that example.
"""
