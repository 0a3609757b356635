"""Synthesised music and sound effects: the same seed gives the same bytes on every machine.

Only operations that IEEE 754 rounds exactly are used on samples (+, -, ×, ÷, square root), whole numbers elsewhere: no
sine, exponential or FFT of a library, no sum whose order depends on the processor.
"""
