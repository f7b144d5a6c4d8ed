"""custseg: customer segmentation that can be defended, acted on, measured and refreshed.

Namespaces and names load on first use, so that ``import custseg`` costs next to nothing.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_NAMESPACES = (
    "campaigns",
    "clustering",
    "datasets",
    "errors",
    "evaluation",
    "features",
    "notebook",
    "plots",
    "profiling",
    "reporting",
    "stats",
    "value",
)

_NAMES = {
    "ActionPlan": "campaigns",
    "Audit": "audit",
    "Brief": "brief",
    "CampaignDesign": "campaigns",
    "CampaignTest": "campaigns",
    "Customers": "tables",
    "CustsegError": "errors",
    "Experiment": "tables",
    "Mean": "campaigns",
    "Proportion": "campaigns",
    "Quantile": "campaigns",
    "Rank": "campaigns",
    "Ratio": "campaigns",
    "SegmentationModel": "clustering",
    "Survey": "tables",
    "Touchpoints": "tables",
    "Transactions": "tables",
    "audit_join": "joins",
    "guess_roles": "features",
    "load_model": "clustering",
}

__all__ = [*_NAMESPACES, *_NAMES]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name in _NAMESPACES:
        return import_module(f"{__name__}.{name}")
    if name in _NAMES:
        return getattr(import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
