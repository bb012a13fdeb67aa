"""What is wrong with the operator's settings."""

from __future__ import annotations


class SettingsProblem(Exception):  # noqa: N818
    """The operator's settings do not work; the text says which and how to mend them."""
