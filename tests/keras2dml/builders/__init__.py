"""Model builders after the code examples of keras.io, with their layers and small widths.

Layers, models and regularizers that an example defines as classes are classes here, too.
"""
