"""What is needed of a place that keeps data sets: tables, by what they hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kfops.domain.profile import Profile


@dataclass(frozen=True)
class DataSet:
    """A stored table. `uri` is what a pipeline's parameter is given; `digest` is the file's SHA-256 in hex.

    `warnings` are sentences about things that are allowed and seldom meant.
    """

    name: str
    uri: str
    digest: str
    size_bytes: int
    profile: Profile
    warnings: tuple[str, ...] = ()


class DataFiles(Protocol):
    """Objects of a storage as files."""

    def fetch(self, address: str, into: Path) -> Path:
        """The object at `s3://bucket/key` as a file of the same name in the folder `into`; nothing half-fetched stays.

        Whether a repository may read it was decided before. Refused where it is not there, or too large.
        """
        ...


class DataSets(Protocol):
    """Every method may raise `Unavailable` or `Refused`."""

    def add(self, file: Path, *, target: str | None = None) -> DataSet:
        """Check, measure, profile and store a table (CSV, Parquet, xlsx); the same content is stored once.

        Refused with what is wrong with it: not readable, empty, columns without a name or twice, no `target`.
        """
        ...

    def find(self, digest: str) -> DataSet | None:
        """By the digest or the beginning of it, at least 8 digits; None when there is none, or more than one."""
        ...
