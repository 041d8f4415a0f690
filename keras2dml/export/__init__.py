"""What is written for others: ONNX, programs for SystemDS' command line, folders of weights,
the support page.
"""
