"""Exports: ONNX, programs for SystemDS' command line, folders of weights, and the support page."""
