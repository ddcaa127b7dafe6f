"""The errors of jobs."""

from __future__ import annotations

from cossign.errors import CosSignError


class InputError(CosSignError):
    """Input that cannot be read; the message names the file and says what to do."""


class RowError(CosSignError):
    """A row that cannot be signed; the message names the file and the row."""


class SpaceError(CosSignError):
    """The disk has not enough room for what a job would write."""
