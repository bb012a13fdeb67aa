"""Where a model serves: one repository's model in one named environment, such as `production`."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

_READABLE = 40


@dataclass(frozen=True)
class EnvironmentKey:
    """The repository's numeric id, so that a rename changes nothing, the model's name and the environment's.

    `namespace` is where a cluster serves it, as the rules say now; it is no part of what the environment is.
    """

    repository_id: int
    model: str
    name: str
    namespace: str = field(default="", compare=False)

    @property
    def slug(self) -> str:
        """A name for files and clusters, of `[a-z0-9-]`: readable at the front, unique by its last part."""
        readable = re.sub(r"[^a-z0-9]+", "-", f"{self.name}-{self.model}".lower()).strip("-")[:_READABLE]
        whole = f"{self.repository_id}\0{self.model}\0{self.name}".encode()
        return f"{readable}-{hashlib.sha256(whole).hexdigest()[:8]}"
