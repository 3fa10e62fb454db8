"""The field's benchmarks: their files, their rules as published and without their faults, figures with intervals.

`report(BENCHMARKS[name](), items, replies, grader)` gives the rows; see `core.py` for what a benchmark is.
"""

from . import choice, open_answers, spans
from .core import MODES, Benchmark, Item, Outcome, report

BENCHMARKS = {
    kind.name: kind
    for module in (choice, spans, open_answers)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Benchmark) and kind.name
}

__all__ = ["BENCHMARKS", "MODES", "Benchmark", "Item", "Outcome", "report"]
