import yaml
from kfp import compiler

from pipeline import churn


def test_the_pipeline_compiles_and_hands_over_what_kfops_takes(tmp_path):
    package = tmp_path / "package.yaml"
    compiler.Compiler().compile(churn, str(package))
    components = yaml.safe_load(package.read_text())["components"].values()
    outputs = {name for one in components for name in one.get("outputDefinitions", {}).get("artifacts", {})}
    assert {"model", "metrics", "heldout", "training_rows", "profile", "golden"} <= outputs


def test_the_package_is_small(tmp_path):
    package = tmp_path / "package.yaml"
    compiler.Compiler().compile(churn, str(package))
    assert package.stat().st_size < 200_000
