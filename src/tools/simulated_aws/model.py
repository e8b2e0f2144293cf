"""How a service says no, and how it says nothing. Standard library only."""

from __future__ import annotations


class ServiceError(Exception):
    """An error as the service answers it: its code, its message and its HTTP status."""

    def __init__(self, code: str, message: str = "", status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message or code
        self.status = status


class NoAnswer(Exception):
    """The caller gets no usable answer: a read timeout in process, an HTTP 500 over HTTP."""
