from __future__ import annotations

from pathlib import Path


class Unconfined:
    """The sandbox's shape, without its walls."""

    def argv(self, inside, *, read_only, writable, chdir):
        places = {str(within): str(host) for host, within in {**read_only, **writable}.items()}
        assert chdir == Path("/app")
        places["/sock/m.sock"] = places["/sock"] + "/m.sock"
        return [
            "env",
            "-C",
            str(Path(places["/app/model_server"]).parent),
            *(places.get(word, word) for word in inside),
        ]
