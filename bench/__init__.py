"""Benchmarks: each figure beside a floor or a peer that was measured in the same run.

``python -m bench`` at the root of the repository runs them all; nothing here decides a test.
"""
