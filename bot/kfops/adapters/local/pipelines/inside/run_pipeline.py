"""`python run_pipeline.py PACKAGE PARAMETERS ROOT`: run a compiled pipeline with kfp.local. Runs in the sandbox.

Only the package is read, each step is a process of its own. Standard output is the log; the last line that begins
with `KFOPS_RUN` says how it ended. Exit code 0: succeeded, 1: a step failed, 2: the run could not be made.
Stands alone: it imports nothing of Kfops.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from pathlib import Path


def main(package: str, parameters: str, root: str) -> int:
    warnings.simplefilter("ignore")
    sys.path.insert(
        0, str(Path(__file__).parent)
    )  # not there by itself: the steps inherit PYTHONSAFEPATH from here
    from light_kfp import leave_out_client  # type: ignore[import-not-found]

    leave_out_client()
    from kfp import components, local

    logging.getLogger().setLevel(logging.WARNING)
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=root, raise_on_error=True)
    values = json.loads(Path(parameters).read_text(encoding="utf-8"))
    try:
        components.load_component_from_file(package)(**values)
    except RuntimeError as error:
        return ended("FAILED", str(error), 1)
    except Exception as error:  # noqa: BLE001 - KFP's own checks raise whatever comes to hand
        return ended("FAILED", f"{type(error).__name__}: {error}", 2)
    return ended("SUCCEEDED", "", 0)


def ended(state: str, error: str, code: int) -> int:
    sys.stdout.write(f"\nKFOPS_RUN {json.dumps({'state': state, 'error': error, 'code': code})}\n")
    sys.stdout.flush()
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
