"""`python -m tests.fuzz TARGET FOLDER [OPTION...]`: fuzz one target by coverage.

New inputs go to FOLDER; options are libFuzzer's, such as -max_total_time=60. `make fuzz` runs all targets.
"""

import sys
from pathlib import Path

import atheris

SLOW = ["cossign.explain.search", "cossign.explain.causes", "cossign.explain.steps"]  # run thousands of times an input
with atheris.instrument_imports(include=["cossign"], exclude=SLOW):
    from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"

target, folder, *options = sys.argv[1:]
Path(folder).mkdir(parents=True, exist_ok=True)
atheris.Setup([sys.argv[0], *options, folder, str(CORPUS / target)], TARGETS[target])
atheris.Fuzz()
