"""By how much series of metrics grow, whatever earlier tests of the process counted."""

from prometheus_client import REGISTRY


class Growth:
    """Counts from its making on."""

    def __init__(self) -> None:
        self._before = _series()

    def __getitem__(self, series: str) -> float:
        """Say by how much a series grew, such as `fenqi_jobs_total{job="a",outcome="done"}`."""
        return _series().get(series, 0.0) - self._before.get(series, 0.0)


def _series() -> dict[str, float]:
    samples = (sample for family in REGISTRY.collect() for sample in family.samples)
    return {_named(sample.name, sample.labels): sample.value for sample in samples}


def _named(name: str, labels: dict[str, str]) -> str:
    if not labels:
        return name
    told = ",".join(f'{each}="{labels[each]}"' for each in sorted(labels))
    return f"{name}{{{told}}}"
