"""Archives for a cluster's sandbox in the bucket, each behind an address that is good for some minutes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kfops.adapters.s3.bucket import Bucket


@dataclass(frozen=True)
class S3Archives:
    """Below `sandbox/`. The address is signed: who has it needs no credentials, and gets nothing else with it."""

    bucket: Bucket

    def put(self, name: str, file: Path, *, valid_s: int) -> str:
        self.bucket.upload(file, f"sandbox/{name}")
        return self.bucket.signed(f"sandbox/{name}", valid_s)

    def remove(self, name: str) -> None:
        self.bucket.remove(f"sandbox/{name}")
