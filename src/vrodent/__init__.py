"""vrodent: a virtual-rodent laboratory."""

__version__ = "0.1.0"
