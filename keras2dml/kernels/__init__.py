"""Kernels that run functions of a compiled program in SystemDS' JVM."""
