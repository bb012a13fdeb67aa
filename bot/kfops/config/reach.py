"""What a run's parameters reach for, held against what the operator grants the repository (R10)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kfops.config.policy import Policy
from kfops.config.tighten import PolicyRefusal, data_refusal

# Addresses of stores. A parameter may well be some other address, which a step without network cannot follow.
_STORE = re.compile(r"(s3|s3a|gs|gcs|minio|oss|abfss?|wasbs?|hdfs|file):", re.IGNORECASE)


def reach_refusal(
    policy: Policy, repository: str, values: Mapping[str, Any], data_parameter: str | None
) -> tuple[str, PolicyRefusal] | None:
    """The first parameter that names data that the repository has no right to, and why; lists and maps are looked into."""
    for name, value in values.items():
        for text in _texts(value):
            if name == data_parameter or _STORE.match(text.strip()):
                refusal = data_refusal(policy, repository, text.strip())
                if refusal is not None:
                    return name, refusal
    return None


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for one in value.values() for text in _texts(one)]
    if isinstance(value, list | tuple):
        return [text for one in value for text in _texts(one)]
    return []
