"""Batch jobs: files of keys in, files of URLs out, in constant memory; see `Job` and `run`."""

from cossign.batch.errors import InputError, RowError, SpaceError
from cossign.batch.job import Estimate, Job, Progress, Report
from cossign.batch.runner import abort, dry_run, run

__all__ = ["Estimate", "InputError", "Job", "Progress", "Report", "RowError", "SpaceError", "abort", "dry_run", "run"]
