# SPDX-License-Identifier: MIT
"""Readers and the writer of weight files, for convert_weights.py. Python's own library only."""
