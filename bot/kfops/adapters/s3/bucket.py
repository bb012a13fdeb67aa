"""Objects below one prefix of one bucket, with boto3; any endpoint that speaks S3.

Credentials are boto3's own affair: its environment variables, profiles and roles.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from kfops.ports.errors import Refused, Unavailable

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

T = TypeVar("T")
_ADDRESS = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(?P<prefix>[^\s\\]*)")
_ABSENT = frozenset({"404", "NoSuchKey", "NotFound"})
_KEYS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or the bot's role) to credentials that the storage knows"
_RIGHTS = (
    "look at the bucket's policy, and at the rights of the bot's credentials: to list, read and write there"
)
_WHY = {
    "NoSuchBucket": ("there is no such bucket", "make the bucket, or mend its name"),
    "InvalidAccessKeyId": ("the storage does not know the bot's access key", _KEYS),
    "SignatureDoesNotMatch": ("the bot's secret key does not belong to its access key", _KEYS),
    "ExpiredToken": ("the bot's credentials have expired", _KEYS),
    "InvalidToken": ("the bot's credentials are not valid", _KEYS),
    "AccessDenied": ("the bot's credentials have no right to do this", _RIGHTS),
    "403": ("the bot's credentials have no right to do this", _RIGHTS),
}
_TEMPORARY = frozenset({"SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "500", "503"})


class Bucket:
    """`address`: `s3://bucket/prefix/`; names are relative to it. `endpoint`: empty for AWS.

    The region is boto3's own affair too (AWS_DEFAULT_REGION, or the profile's): signed addresses name it, and AWS takes
    them in the bucket's region only.
    """

    def __init__(self, address: str, *, endpoint: str = "") -> None:
        from boto3.session import Session
        from botocore.config import Config

        match = _ADDRESS.fullmatch(address)
        if match is None:
            raise Refused(f"{address!r} is no address of a bucket; expected such as s3://models/kfops/")
        self.name, prefix = match["bucket"], match["prefix"].strip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        session = Session()  # the module's own is not safe between threads
        self._client: Any = session.client(
            "s3",
            endpoint_url=endpoint or None,
            region_name=session.region_name or "us-east-1",
            config=Config(
                signature_version="s3v4",
                connect_timeout=5,
                read_timeout=60,
                retries={"max_attempts": 3, "mode": "standard"},
                # Servers other than AWS know path-style addresses, and not all know the newer checksums.
                s3={"addressing_style": "path" if endpoint else "auto"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def address(self, name: str) -> str:
        return f"s3://{self.name}/{self._prefix}{name}"

    def upload(self, file: Path, name: str) -> None:
        self._asked(lambda: self._client.upload_file(str(file), self.name, self._prefix + name), name)

    def download(self, name: str, file: Path) -> None:
        """Refused where there is no such object."""
        self._asked(lambda: self._client.download_file(self.name, self._prefix + name, str(file)), name)

    def write(self, name: str, content: bytes) -> None:
        self._asked(
            lambda: self._client.put_object(Bucket=self.name, Key=self._prefix + name, Body=content), name
        )

    def read(self, name: str, most: int) -> bytes | None:
        """At most so many bytes; None where there is no such object, Refused where there are more."""
        try:
            found = self._asked(
                lambda: self._client.get_object(Bucket=self.name, Key=self._prefix + name), name
            )
        except _Absent:
            return None
        if found["ContentLength"] > most:
            raise Refused(f"{self.address(name)} has {found['ContentLength']} bytes; at most {most} are read")
        content: bytes = self._asked(found["Body"].read, name)
        return content

    def size(self, name: str) -> int | None:
        """In bytes; None where there is no such object. Refused where there is no such bucket."""
        try:
            head = self._asked(
                lambda: self._client.head_object(Bucket=self.name, Key=self._prefix + name), name
            )
        except _Absent:
            # The answer to HEAD has no words: a bucket that is not there looks like an object that is not.
            self._asked(lambda: self._client.list_objects_v2(Bucket=self.name, MaxKeys=1), name)
            return None
        return int(head["ContentLength"])

    def signed(self, name: str, valid_s: int) -> str:
        """An address from which anybody can fetch it for so many seconds."""
        given = {"Bucket": self.name, "Key": self._prefix + name}
        return str(
            self._asked(
                lambda: self._client.generate_presigned_url("get_object", Params=given, ExpiresIn=valid_s),
                name,
            )
        )

    def remove(self, name: str) -> None:
        """Idempotent."""
        self._asked(lambda: self._client.delete_object(Bucket=self.name, Key=self._prefix + name), name)

    def names(self, prefix: str) -> Iterator[str]:
        """Every object whose name begins so, all pages."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self.name, Prefix=self._prefix + prefix
        )
        walk = iter(pages)
        while (page := self._asked(lambda: next(walk, None), prefix)) is not None:
            for found in page.get("Contents", ()):
                yield found["Key"].removeprefix(self._prefix)

    def _asked(self, call: Callable[[], T], name: str) -> T:
        from boto3.exceptions import S3UploadFailedError
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            NoCredentialsError,
            PartialCredentialsError,
        )

        try:
            return call()
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise Refused(
                f"{self.address(name)}: the bot has no credentials for the storage", fix=_KEYS
            ) from error
        except S3UploadFailedError as error:
            cause = error.__context__
            if not isinstance(cause, ClientError):
                raise Unavailable(f"{self.address(name)}: {error}") from error
            raise self._no(cause, name) from error
        except ClientError as error:
            raise self._no(error, name) from error
        except (BotoCoreError, OSError) as error:
            raise Unavailable(f"{self.address(name)}: {type(error).__name__}") from error

    def _no(self, error: ClientError, name: str) -> Unavailable | Refused:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in _ABSENT:
            return _Absent(f"{self.address(name)} is not there")
        if code in _TEMPORARY:
            return Unavailable(f"{self.address(name)}: the storage says {code}")
        if code in {"403", "Forbidden"}:
            code = self._words_of_a_refusal() or code
        why, fix = _WHY.get(code, (f"the storage says {code}", _RIGHTS))
        return Refused(f"{self.address(name)}: {why}", fix=fix)

    def _words_of_a_refusal(self) -> str:
        """HEAD is refused without words; a list that nobody may see either is refused with them."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client.list_objects_v2(Bucket=self.name, MaxKeys=1)
        except ClientError as error:
            return str(error.response.get("Error", {}).get("Code", ""))
        except BotoCoreError:
            pass
        return ""


class _Absent(Refused):
    """No such object; an answer for those who ask whether there is one."""
