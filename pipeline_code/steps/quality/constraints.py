"""constraints.json: what a batch must satisfy; suggested from a baseline, and read back with its overrides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..model import Column, Monitor, value_text
from .profile import Profile

DOMAIN = 120  # texts beyond which a column's values are no list that a batch must keep to
OVERRIDES = ("monitoringConfigOverrides", "monitoring_config_overrides")


@dataclass(frozen=True, kw_only=True)
class Config:
    """The monitoring_config that holds for a feature.

    Attributes
    ----------
    evaluate, emit_metrics, compare
        Whether its constraints are checked, its metrics written, its distribution compared.
    datatype_threshold, domain_threshold
        Smallest shares of cells of the right type and with known values.
    threshold, categorical_threshold, robust
        Largest distance, and whether it is taken beyond the noise.
    chi_squared
        Whether texts are compared by Pearson's test: `categorical_threshold` is then the p-value below which a
        feature has drifted.
    """

    evaluate: bool = True
    emit_metrics: bool = True
    compare: bool = True
    datatype_threshold: float = 1.0
    domain_threshold: float = 1.0
    threshold: float = 0.1
    categorical_threshold: float = 0.1
    robust: bool = True
    chi_squared: bool = False

    def updated(self, given: dict[str, Any]) -> Config:
        """Return the config with what a monitoring_config, or a feature's overrides, say otherwise.

        Raises
        ------
        ValueError
            A word or a method that this monitor doesn't know.
        """
        distribution = given.get("distribution_constraints") or {}
        return Config(
            evaluate=_enabled(given, "evaluate_constraints", self.evaluate),
            emit_metrics=_enabled(given, "emit_metrics", self.emit_metrics),
            compare=_enabled(distribution, "perform_comparison", self.compare),
            datatype_threshold=_share(given, "datatype_check_threshold", self.datatype_threshold),
            domain_threshold=_share(given, "domain_content_threshold", self.domain_threshold),
            threshold=_share(distribution, "comparison_threshold", self.threshold),
            categorical_threshold=_share(
                distribution, "categorical_comparison_threshold", self.categorical_threshold
            ),
            robust=_either(distribution, "comparison_method", "Robust", "Simple", self.robust),
            chi_squared=_either(
                distribution, "categorical_drift_method", "ChiSquared", "LInfinity", self.chi_squared
            ),
        )


def _share(given: dict[str, Any], key: str, default: float) -> float:
    value = float(given.get(key, default))
    if not 0 <= value <= 1:  # nor NaN, above which no distance ever is
        raise ValueError(f"{key} must be from 0 to 1, got {value}")
    return value


def _enabled(given: dict[str, Any], key: str, default: bool) -> bool:
    return _either(given, key, "Enabled", "Disabled", default)


def _either(given: dict[str, Any], key: str, yes: str, no: str, default: bool) -> bool:
    word = given.get(key, yes if default else no)
    if word not in (yes, no):
        raise ValueError(f"{key} must be {yes} or {no}, got '{word}'")
    return bool(word == yes)


@dataclass(frozen=True, kw_only=True)
class FeatureConstraint:
    """What a feature must satisfy.

    Attributes
    ----------
    completeness
        Share of the cells that hold a value in the baseline; or what a person has put there.
    domains
        Known values of a string feature; empty where there is no such list.
    """

    name: str
    inferred_type: str
    completeness: float
    domains: frozenset[str]
    config: Config


def suggest(profile: Profile, columns: Sequence[Column], monitor: Monitor) -> dict[str, Any]:
    """Return constraints.json for a baseline: what its columns showed, with the model's settings."""
    described = {column.name: column for column in columns}
    features = []
    for column in profile.columns:
        feature: dict[str, Any] = {
            "name": column.name,
            "inferred_type": column.inferred_type,
            "completeness": column.completeness,
        }
        if column.categories is not None:
            domains = [value_text(value) for value in described[column.name].values]
            if not domains and not column.others and len(column.categories) <= DOMAIN:
                domains = sorted(column.categories)
            feature["string_constraints"] = {"domains": domains}
        else:
            feature["num_constraints"] = {"is_non_negative": column.minimum >= 0}
        if described[column.name].required:
            feature["completeness"] = 1.0
        features.append(feature)
    return {"version": 0.0, "features": features, "monitoring_config": _monitoring_config(monitor)}


def _monitoring_config(monitor: Monitor) -> dict[str, Any]:
    return {
        "evaluate_constraints": "Enabled",
        "emit_metrics": "Enabled",
        "datatype_check_threshold": monitor.datatype_check_threshold,
        "domain_content_threshold": monitor.domain_content_threshold,
        "distribution_constraints": {
            "perform_comparison": "Enabled",
            "comparison_threshold": monitor.comparison_threshold,
            "comparison_method": monitor.comparison_method,
            "categorical_comparison_threshold": monitor.categorical_comparison_threshold,
            "categorical_drift_method": monitor.categorical_drift_method,
        },
    }


def read_constraints(
    described: dict[str, Any], *, drift_threshold: float | None = None
) -> dict[str, FeatureConstraint]:
    """Return the constraints of each feature.

    Parameters
    ----------
    described
        constraints.json, ours or Model Monitor's; both spellings of a feature's overrides are read.
    drift_threshold
        Takes the place of the data set's two comparison thresholds, not of a feature's own override, nor of a
        p-value.

    Raises
    ------
    KeyError, TypeError, ValueError
        It isn't such a file.
    """
    filed = Config().updated(described.get("monitoring_config") or {})
    if drift_threshold is not None:
        given = replace(filed, threshold=drift_threshold, categorical_threshold=drift_threshold)
    else:
        given = filed
    result = {}
    for feature in described["features"]:
        domains = (feature.get("string_constraints") or {}).get("domains") or ()
        result[feature["name"]] = FeatureConstraint(
            name=feature["name"],
            inferred_type=feature["inferred_type"],
            completeness=_share(feature, "completeness", 0.0),
            domains=frozenset(str(value) for value in domains),
            config=_overridden(feature, given, filed),
        )
    return result


def _overridden(feature: dict[str, Any], given: Config, filed: Config) -> Config:
    """Return the feature's configuration: a p-value's threshold is the file's, never a distance's."""
    for spelling in OVERRIDES:
        own = feature.get(spelling) or {}
        given, filed = given.updated(own), filed.updated(own)
    if not given.chi_squared:
        return given
    if not filed.categorical_threshold:
        raise ValueError(
            f"with ChiSquared categorical_comparison_threshold is the p-value below which '{feature['name']}' has"
            " drifted, and must be above 0"
        )
    return replace(given, categorical_threshold=filed.categorical_threshold)
