"""One stage of a run in a process of its own, as an orchestrator does it.

Arguments: the job file, the model, a file that carries the handle between the stages, the stage, and for `score` the
number of the split. The first stage claims and parks; every other one holds the run while it works and parks it again.
"""

import json
import sys
from pathlib import Path

from scoreline import runner
from scoreline.assemble import Choices, assemble
from scoreline.config import limits, load
from scoreline.errors import ScorelineError
from scoreline.holding import holding
from scoreline.record import RunHandle
from scoreline.splits import Split


def main(job, model, carried, stage, number="0"):
    loaded = load(job, model=model)
    assembly = assemble(loaded, Choices(limits=limits(loaded.settings, wait=False)))
    if stage == "open":
        handle = runner.open_(assembly, loaded.job.grid.parse("2021-02")).handle
        with holding(assembly, handle):
            Path(carried).write_text(json.dumps({"handle": handle.to_dict()}))
        return
    known = json.loads(Path(carried).read_text())
    handle = RunHandle(**known["handle"])
    with holding(assembly, handle):
        if stage == "plan":
            splits = runner.plan_splits(assembly, handle)
            Path(carried).write_text(json.dumps(known | {"splits": [split.to_dict() for split in splits]}))
        elif stage == "score":
            runner.score_split(assembly, handle, Split.from_dict(known["splits"][int(number)]))
        elif stage == "prepare":
            runner.prepare(assembly, handle)
    if stage == "publish":
        runner.publish(assembly, handle)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except ScorelineError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
