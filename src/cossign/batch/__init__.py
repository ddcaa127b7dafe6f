"""Batch jobs: files of keys in, files of URLs out, in constant memory; see `Job` and `run`."""

from cossign.batch.job import Estimate, Job, Progress, Report, RowError, SpaceError
from cossign.batch.pipeline import dry_run, run
from cossign.batch.sources import InputError

__all__ = ["Estimate", "InputError", "Job", "Progress", "Report", "RowError", "SpaceError", "dry_run", "run"]
