"""R1: who may speak to the webhook."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfops.webhook.signature import is_signed, sign

BODY = b'{"action":"created"}'
# HMAC-SHA-256 of GitHub's own documentation: secret "It's a Secret to Everybody", body "Hello, World!"
DOCUMENTED = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def test_r1_the_documented_example() -> None:
    assert is_signed(b"Hello, World!", DOCUMENTED, ["It's a Secret to Everybody"])


@pytest.mark.parametrize(
    ("header", "secrets", "expected"),
    [
        pytest.param(sign(BODY, "new"), ["new"], True, id="the secret"),
        pytest.param(sign(BODY, "old"), ["new", "old"], True, id="the second secret"),
        pytest.param(sign(BODY, "new"), ["new", "old"], True, id="the first secret"),
        pytest.param(sign(BODY, "other"), ["new", "old"], False, id="neither"),
        pytest.param(sign(BODY, "new"), [], False, id="no secret is set"),
        pytest.param(sign(BODY, ""), [""], False, id="an empty secret is none"),
        pytest.param(None, ["new"], False, id="no header"),
        pytest.param("", ["new"], False, id="empty header"),
        pytest.param(sign(BODY, "new").removeprefix("sha256="), ["new"], False, id="no algorithm"),
        pytest.param(sign(BODY, "new").replace("sha256", "sha1"), ["new"], False, id="another algorithm"),
        pytest.param(
            "sha1=" + "0" * 40,
            ["new"],
            False,
            id="SHA-1",
        ),
        pytest.param(sign(BODY, "new").upper(), ["new"], False, id="upper case"),
        pytest.param(sign(BODY, "new") + "\n", ["new"], False, id="a line end after it"),
        pytest.param(sign(BODY, "new")[:-1] + "é", ["new"], False, id="not ASCII"),
        pytest.param(sign(BODY + b" ", "new"), ["new"], False, id="other bytes"),
    ],
)
def test_r1_signatures(header: str | None, secrets: list[str], expected: bool) -> None:
    assert is_signed(BODY, header, secrets) is expected


@given(body=st.binary(), secret=st.text(min_size=1).filter(lambda text: text.isprintable()))
def test_r1_any_body_of_bytes_signs(body: bytes, secret: str) -> None:
    assert is_signed(body, sign(body, secret), ["another", secret])
    assert not is_signed(body + b"x", sign(body, secret), ["another", secret])


@given(header=st.text())
def test_r1_no_header_breaks_it(header: str) -> None:
    assert not is_signed(BODY, header, ["secret"])
