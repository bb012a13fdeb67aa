from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False, embedded_artifact_path="model")
def validate(
    data: str,
    target: str,
    rules: str,
    code: dsl.EmbeddedInput[dsl.Artifact],
    table: dsl.Output[dsl.Dataset],
    profile: dsl.Output[dsl.Artifact],
):
    """Read the data and hold them against data/rules.yaml."""
    import json
    import sys
    from pathlib import Path

    from data import check, read
    from data import profile as describe

    frame = read(data)
    problems = check(frame, target, json.loads(rules))
    if problems:
        sys.exit(
            "\n".join(
                [f"- {problem}" for problem in problems] + [f"{data} is not fit to train on: {problems[0]}"]
            )
        )
    frame.to_parquet(table.path)
    Path(profile.path).write_text(json.dumps(describe(frame)))
    print(
        f"{data}: {len(frame)} rows, {len(frame.columns)} columns, {len(json.loads(rules).get('columns', {}))} rules hold"
    )
