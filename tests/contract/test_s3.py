"""S3 as it is spoken by a real server: models by digest, data sets, and what is said when it says no."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from tests.support.servers.seaweed import KEY, READER, SECRET, Seaweed, running

from kfops.adapters.local.data import DataFolder
from kfops.adapters.local.store import Store
from kfops.adapters.s3.archives import S3Archives
from kfops.adapters.s3.bucket import Bucket
from kfops.adapters.s3.data import S3DataFiles, S3DataSets
from kfops.adapters.s3.models import S3ModelStore
from kfops.bootstrap import keeping
from kfops.bootstrap.problem import SettingsProblem
from kfops.ports.errors import Refused, Unavailable
from kfops.settings import Settings

pytestmark = pytest.mark.xdist_group("s3")
SHARED = "kfops-tests"
_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("weed")) as found:
        found.client().create_bucket(Bucket=SHARED)
        yield found


@pytest.fixture
def bucket(server: Seaweed, monkeypatch):
    """A folder of this test's own in one bucket, reached with the bot's credentials as an operator sets them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    return Bucket(f"s3://{SHARED}/test-{next(_NUMBERS)}/", endpoint=server.endpoint)


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    (folder / "code").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "code" / "größe.py").write_text("x = 1\n")
    return folder


@pytest.mark.parametrize(("set_to", "signed_for"), [("eu-central-1", "eu-central-1"), ("", "us-east-1")])
def test_an_address_is_signed_for_the_region_that_the_operator_sets(monkeypatch, set_to, signed_for):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    if set_to:
        monkeypatch.setenv("AWS_DEFAULT_REGION", set_to)
    address = urlsplit(Bucket("s3://models/kfops/").signed("sandbox/a.tar", 60))
    assert signed_for in parse_qs(address.query)["X-Amz-Credential"][0].split("/")


def key(bucket: Bucket, name: str) -> str:
    """As the server's own client names it."""
    return bucket.address(name).removeprefix(f"s3://{bucket.name}/")


def store(bucket: Bucket, folder: Path) -> S3ModelStore:
    return S3ModelStore(bucket, Store(folder / "cache"), folder / "scratch")


def test_a_model_put_by_one_bot_is_served_by_another(bucket, model, tmp_path):
    digest = store(bucket, tmp_path / "one").put(model)

    found = store(bucket, tmp_path / "other").path(digest)

    assert found is not None
    assert (found / "code" / "größe.py").read_text() == "x = 1\n"
    assert digest == Store(tmp_path / "plain").put(model)


def test_a_model_lies_where_an_engine_on_a_cluster_reads_it(bucket, model, tmp_path, server):
    here = store(bucket, tmp_path)
    digest = here.put(model)

    folder = here.address(digest).removeprefix(f"s3://{bucket.name}/")
    listed = server.client().list_objects_v2(Bucket=bucket.name, Prefix=folder + "/")["Contents"]
    assert {one["Key"].removeprefix(folder + "/") for one in listed} == {"MLmodel", "code/größe.py"}


def test_a_model_that_nobody_put_is_not_there(bucket, tmp_path):
    assert store(bucket, tmp_path).path("0" * 64) is None


def test_an_upload_that_was_cut_off_is_not_there_and_is_made_whole(bucket, model, tmp_path, server):
    digest = store(bucket, tmp_path / "one").put(model)
    server.client().delete_object(Bucket=bucket.name, Key=key(bucket, f"models/{digest}.json"))
    server.client().delete_object(Bucket=bucket.name, Key=key(bucket, f"models/{digest}/MLmodel"))

    assert store(bucket, tmp_path / "other").path(digest) is None
    assert store(bucket, tmp_path / "one").put(model) == digest
    assert store(bucket, tmp_path / "other").path(digest) is not None


def test_r13_a_model_that_was_changed_in_the_bucket_is_refused(bucket, model, tmp_path, server):
    digest = store(bucket, tmp_path / "one").put(model)
    server.client().put_object(Bucket=bucket.name, Key=key(bucket, f"models/{digest}/MLmodel"), Body=b"evil")

    with pytest.raises(Refused, match="another model"):
        store(bucket, tmp_path / "other").path(digest)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a/../../b", "", "a\nb"])
def test_r11_a_list_of_files_cannot_lead_out_of_the_folder(bucket, tmp_path, name):
    bucket.write(f"models/{'1' * 64}.json", json.dumps([name]).encode())

    with pytest.raises(Refused, match="cannot be read"):
        store(bucket, tmp_path).path("1" * 64)


def test_r11_a_model_with_a_link_in_it_is_refused(bucket, model, tmp_path):
    (model / "link").symlink_to("/etc/passwd")

    with pytest.raises(Refused, match="link"):
        store(bucket, tmp_path).put(model)


TABLE = "customer,tenure,churn\n" + "".join(f"{one},{one % 7},{one % 2}\n" for one in range(200))


def test_a_data_set_is_kept_once_and_found_by_the_beginning_of_its_digest(bucket, tmp_path, server):
    table = tmp_path / "churn.csv"
    table.write_text(TABLE)
    sets = S3DataSets(bucket)
    added = sets.add(table, target="churn")
    again = sets.add(table)

    assert again == added == sets.find(added.digest[:10])
    assert added.profile == DataFolder(tmp_path / "kept").add(table).profile
    assert S3DataFiles(server.endpoint).fetch(added.uri, tmp_path / "kept").read_text() == TABLE


def test_a_data_set_without_its_target_never_reaches_the_bucket(bucket, tmp_path):
    table = tmp_path / "churn.csv"
    table.write_text(TABLE)

    with pytest.raises(Refused, match="label"):
        S3DataSets(bucket).add(table, target="label")
    assert list(bucket.names("data/")) == []


def test_data_that_is_not_there_or_too_large_is_refused_with_its_address(bucket, tmp_path, server):
    bucket.write("big.csv", b"x" * 100)

    with pytest.raises(Refused, match=r"s3://kfops-tests/test-\d+/none.csv is not there"):
        S3DataFiles(server.endpoint).fetch(bucket.address("none.csv"), tmp_path)
    with pytest.raises(Refused, match="100 bytes; at most 10"):
        S3DataFiles(server.endpoint, most_bytes=10).fetch(bucket.address("big.csv"), tmp_path)


def test_many_objects_are_listed_over_all_pages(bucket):
    for number in range(1_005):
        bucket.write(f"many/{number:04}", b"")

    assert len(list(bucket.names("many/"))) == 1_005


def test_a_key_that_may_not_write_is_told_what_to_look_at(bucket, model, tmp_path, server, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", READER)
    reading = Bucket(bucket.address(""), endpoint=server.endpoint)

    with pytest.raises(Refused) as said:
        store(reading, tmp_path).put(model)
    assert "no right" in str(said.value)
    assert "credentials" in said.value.fix


@pytest.mark.parametrize(
    ("key", "secret", "words"),
    [
        ("nobody", SECRET, "does not know the bot's access key"),
        (KEY, "wrong", "secret key does not belong to its access key"),
    ],
)
def test_wrong_keys_are_told_whatever_is_asked(
    bucket, model, tmp_path, server, monkeypatch, key, secret, words
):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    unknown = Bucket(bucket.address(""), endpoint=server.endpoint)

    for ask in (
        lambda: unknown.size("one"),
        lambda: unknown.read("one", 10),
        lambda: unknown.write("one", b"1"),
        lambda: list(unknown.names("")),
        lambda: store(unknown, tmp_path).put(model),
        lambda: S3DataFiles(server.endpoint).fetch(bucket.address("june.csv"), tmp_path),
    ):
        with pytest.raises(Refused, match=words) as said:
            ask()
        assert "AWS_ACCESS_KEY_ID" in said.value.fix


def test_a_bucket_that_is_not_there_is_told_from_an_object_that_is_not(model, tmp_path, server, bucket):
    nowhere = Bucket("s3://nobodys-bucket/x/", endpoint=server.endpoint)

    for ask in (
        lambda: nowhere.size("one"),
        lambda: nowhere.read("one", 10),
        lambda: list(nowhere.names("")),
        lambda: store(nowhere, tmp_path).put(model),
        lambda: S3DataFiles(server.endpoint).fetch("s3://nobodys-bucket/x/june.csv", tmp_path),
    ):
        with pytest.raises(Refused, match=r"nobodys-bucket/x/.*there is no such bucket") as said:
            ask()
        assert "make the bucket" in said.value.fix
    assert bucket.size("one") is None


def test_a_bot_without_credentials_is_told_so_and_does_not_try_again(tmp_path, server, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    with pytest.raises(Refused, match="no credentials") as said:
        Bucket(f"s3://{SHARED}/", endpoint=server.endpoint).size("one")
    assert "AWS_ACCESS_KEY_ID" in said.value.fix


def test_a_storage_that_is_away_is_told_apart_from_one_that_says_no(bucket, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    away = Bucket(f"s3://{bucket.name}/", endpoint="http://127.0.0.1:9")

    with pytest.raises(Unavailable):
        away.size("anything")


@pytest.mark.parametrize("address", ["", "s3://", "models/", "https://bucket/x", "s3://Bad_Name/x"])
def test_an_address_that_is_none_is_refused_with_an_example(address):
    with pytest.raises(Refused, match="such as s3://"):
        Bucket(address)


def test_the_cache_is_enough_once_a_model_was_read(bucket, model, tmp_path, server):
    digest = store(bucket, tmp_path).put(model)
    for one in list(bucket.names("models/")):
        server.client().delete_object(Bucket=bucket.name, Key=key(bucket, one))

    assert store(bucket, tmp_path).path(digest) is not None
    shutil.rmtree(tmp_path / "cache")
    assert store(bucket, tmp_path).path(digest) is None


def test_an_operators_address_that_is_none_is_named_by_its_variable(tmp_path):
    settings = Settings(data_dir=tmp_path, storage="s3", s3_address="models")

    with pytest.raises(SettingsProblem, match="KFOPS_S3_ADDRESS"):
        keeping.store(settings)


def test_the_bot_keeps_models_where_its_settings_say(bucket, model, tmp_path, server):
    settings = Settings(
        data_dir=tmp_path, storage="s3", s3_address=bucket.address(""), s3_endpoint=server.endpoint
    )

    digest = keeping.store(settings).put(model)

    assert f"models/{digest}.json" in set(bucket.names("models/"))


def test_an_archive_is_fetched_by_its_address_alone_for_a_while(bucket, tmp_path):
    """What a sandbox's pod starts from: it has no credentials."""
    file = tmp_path / "source.tar.gz"
    file.write_bytes(b"a model")
    archives = S3Archives(bucket)
    address = archives.put("kfops-1.tar.gz", file, valid_s=60)

    assert httpx.get(address, trust_env=False).content == b"a model"
    assert httpx.get(address.partition("?")[0], trust_env=False).status_code in {401, 403}
    assert httpx.get(address.replace("kfops-1", "kfops-2"), trust_env=False).status_code in {401, 403}
    archives.remove("kfops-1.tar.gz")
    archives.remove("kfops-1.tar.gz")
    assert httpx.get(address, trust_env=False).status_code == httpx.codes.NOT_FOUND
