"""How many bits does a task model need? `vcm.evaluate(plan)` tells; the function is in `api`.

Example:
    >>> from vcm import dataset
    >>> from vcm.evaluate.api import Plan
    >>> photos = dataset.load(Path.cwd())                   # here without labels
    >>> codecs = ("vcm:at=20/60", "jpeg:at=30/60")
    >>> plan = Plan(vcm.find_task("coco-person"), "embedded", photos, codecs)
    >>> report = vcm.evaluate(plan, workers=1)
    >>> report.metric, report.reference, [codec.name for codec in report.codecs]
    ('agreement mIoU', 'JPEG', ['vcm, sigma 0.3', 'JPEG'])
    >>> [0 < point.bpp.value < 2 for point in report.codecs[0].points]
    [True, True]
"""

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """A package that is a function as well: both have the best name for what they do."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from vcm.evaluate.api import evaluate  # with all that it needs: torch

        return evaluate(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
