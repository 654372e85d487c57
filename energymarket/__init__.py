"""The shared kernel: what crosses a process boundary, and the adapters that carry it."""

__version__ = "0.1.0"
