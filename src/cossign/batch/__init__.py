"""Batch jobs: files of keys in, files of URLs out, in constant memory."""

from cossign.batch.job import Summary, presign_job
from cossign.batch.sinks import open_sink
from cossign.batch.sources import Source

__all__ = ["Source", "Summary", "open_sink", "presign_job"]
