"""lastgood: an alarm says the release is bad; put the last good revision back and prove it."""

__version__ = "0.1.0"
