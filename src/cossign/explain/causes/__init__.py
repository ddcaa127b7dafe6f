"""The causes: one module for each group."""

from cossign.explain.causes.after import AFTER
from cossign.explain.causes.cause import Cause, Group
from cossign.explain.causes.encoding import ENCODING
from cossign.explain.causes.entries import ENTRIES
from cossign.explain.causes.keys import KEYS
from cossign.explain.causes.paths import PATHS
from cossign.explain.causes.recipes import RECIPES
from cossign.explain.causes.times import TIMES
from cossign.explain.causes.written import WRITTEN

GROUPS: tuple[Group, ...] = (KEYS, TIMES, PATHS, ENTRIES, ENCODING, RECIPES, WRITTEN, AFTER)
CATALOGUE: dict[str, Cause] = {cause.code: cause for group in GROUPS for cause in group.causes}

__all__ = ["AFTER", "CATALOGUE", "GROUPS", "Cause"]
