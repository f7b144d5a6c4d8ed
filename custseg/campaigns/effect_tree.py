"""Segments that differ in what a campaign does: learned on one half, measured on the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from custseg.campaigns._beside_segments import SideBySide, lay_beside
from custseg.campaigns._crossfit import (
    Learner,
    check_learner,
    doubly_robust,
    draw_folds,
    few_threads,
    predict_held,
    predict_outcomes,
    predict_uplift,
)
from custseg.campaigns._trial import Codes, Feature, Mask, Matrix, Trial, read_trial
from custseg.campaigns.policy import arm_costs, mean_estimates
from custseg.campaigns.srm import p_words
from custseg.errors import ParameterError, check_columns, check_number
from custseg.results import Result, format_number
from custseg.stats import holm

_LEAST = 25  # customers of each arm that a segment must have in the half it is learned on


class _Leaf(NamedTuple):
    """A leaf: column, sign and cut of each question on the way to it."""

    way: tuple[tuple[int, str, float], ...]

    def holds(self, X: Matrix) -> Mask:
        inside = np.ones(len(X), dtype=bool)
        for column, sign, cut in self.way:
            inside &= X[:, column] <= cut if sign == "<=" else X[:, column] > cut
        return inside


@dataclass(frozen=True, repr=False, eq=False)
class EffectSegments(Result):
    """Segments of customers on whom a campaign has different effects.

    Attributes
    ----------
    segments
        Segment of each customer of the half that the segments were not learned from, index
        ``customer_id``: names ``"A"``, ``"B"``, … from the largest effect learned to the smallest.
        The others are missing, so that every door that takes segments judges honestly.
    table
        The table of `to_frame`.
    heterogeneity
        One row per arm: `arm`, `scale` (``"difference"``), `statistic` (Cochran's Q), `df`,
        `p_value`, `i2`, measured on the same half.
    rules
        Segment to its rule, in words.
    by_leaves
        `segments` (their number), `grown_on` (``"scores"`` of customers, or their predicted
        ``"uplift"``, which is smoother) and `gain`: by how much such segments predict the effects
        on customers of other folds better than one effect for all, in squared units of the outcome.
    learned_from
        Ids of the customers whose outcomes the segments were learned from.
    account
        `rows_in` = `rows_used` + what was set aside; `learned_from` + `estimated_on` = `rows_used`.
    notes
        Caveats.
    """

    segments: pd.Series
    table: pd.DataFrame
    heterogeneity: pd.DataFrame
    rules: dict[str, str]
    by_leaves: pd.DataFrame
    learned_from: pd.Index
    account: pd.Series
    notes: tuple[str, ...]
    _leaves: tuple[_Leaf, ...]
    _known: tuple[Feature, ...]
    _scores: pd.DataFrame
    _picture: ClassVar[str] = "targeting.effect_segments"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per segment and arm.

        Returns
        -------
        pandas.DataFrame
            `segment`, `rule`, `arm`, `n` (customers it is measured on), `share`, `effect` (of the
            arm against control, doubly robust), `se`, `ci_low`, `ci_high` (95%), `p_value`,
            `p_holm` (all rows are one family), `effect_learned` (what the half said that the
            segment was learned on: too good to be true).
        """
        return self.table.copy()

    def assign(self, customers: pd.DataFrame) -> pd.Series:
        """Return the segment of any customers.

        Parameters
        ----------
        customers
            One row per customer, with the columns that the segments were learned from.

        Returns
        -------
        pandas.Series
            Ordered categorical on the index of `customers`.

        Raises
        ------
        ParameterError, ColumnError, DataError
            If `customers` is no frame, a column is missing, or text where there were numbers.
        """
        if not isinstance(customers, pd.DataFrame):
            raise ParameterError(
                f"customers is a {type(customers).__name__}, but must be a pandas.DataFrame."
            )
        check_columns(
            customers.columns, [feature.name for feature in self._known], where="customers"
        )
        X = np.column_stack([feature.encode(customers[feature.name]) for feature in self._known])
        names = list(self.rules)
        labels = pd.Categorical.from_codes(_assign(self._leaves, X), names, ordered=True)
        return pd.Series(labels, customers.index, name="segment")

    def beside(self, segments: pd.Series, *, cost: float | Mapping[Any, float] = 0.0) -> SideBySide:
        """Lay other segments beside these: where they agree on what to do, and where not.

        Parameters
        ----------
        segments
            Labels indexed by customer id, not learned from these outcomes.
        cost
            As in `policy_value`: of treating a customer, one number, or arm to number.

        Returns
        -------
        SideBySide
            Counts, effects in every cell, and the best arms by either division.

        Raises
        ------
        ParameterError, ColumnError
            If `segments` is no Series, a cost no number from 0, or an arm of `cost` none.
        DataError
            If they hold none of the customers, or one twice.
        """
        costs = arm_costs(cost, self._scores.columns.tolist())
        return lay_beside(segments, self.segments.dropna(), self._scores, costs)

    def summary(self) -> str:
        """Return how many segments there are, and whether their effects differ."""
        n = len(self.rules)
        if n == 1:
            return (
                "one segment: no division of the customers predicts effects better than one effect "
                "for all."
            )
        parts = []
        for row in self.heterogeneity.to_dict("records"):
            own = self.table[self.table["arm"] == row["arm"]]
            high, low = own.loc[own["effect"].idxmax()], own.loc[own["effect"].idxmin()]
            parts.append(
                f"{row['arm']}: from {format_number(low['effect'])} in {low['segment']} to "
                f"{format_number(high['effect'])} in {high['segment']} (effects differ: "
                f"{p_words(row['p_value'])})"
            )
        used = self.account
        return (
            f"{n} segments, learned from {used['learned_from']:,} customers and measured on "
            f"{used['estimated_on']:,} others. " + "; ".join(parts) + "."
        )

    def _shown(self) -> pd.DataFrame:
        columns = ["segment", "rule", "arm", "n", "effect", "ci_low", "ci_high", "p_holm"]
        return self.table[columns]


def effect_segments(
    data: Any,
    *,
    outcome: str,
    arm: str,
    control: Any,
    customer_id: str,
    features: Sequence[str],
    max_segments: int = 6,
    min_share: float = 0.05,
    strata: Sequence[str] | Mapping[Any, str] = (),
    learner: Learner | None = None,
) -> EffectSegments:
    """Return segments that differ in the effect of a campaign, by an honest tree.

    Half of the customers, drawn within arms, grow a tree of doubly robust scores or of predicted
    uplift; which, and how many leaves it has, is chosen by cross-validation among them. The effects
    are then measured on the other half, which had no part in it, so that their intervals mean what
    they say.

    Parameters
    ----------
    data
        One row per customer of a randomised campaign, any kind of table.
    outcome, arm, control, customer_id
        As in `policy_value`.
    features
        Columns known before the campaign, of which the rules are made.
    max_segments
        The most segments, from 1; fewer where more do not predict effects better.
    min_share
        The least share of customers in a segment, above 0, at most .5.
    strata
        As in `policy_value`.
    learner
        Models of outcomes and effects, folds, and the seed that halves the customers; ``Learner()``
        when ``None``.

    Returns
    -------
    EffectSegments
        Segments, rules, and effects with intervals.

    Raises
    ------
    ColumnError, ParameterError, DataError
        As `policy_value`.

    References
    ----------
    Athey, S., & Imbens, G. (2016). Recursive partitioning for heterogeneous causal effects. PNAS
    113, 7353-7360.

    Examples
    --------
    >>> import custseg as cs
    >>> shop = cs.datasets.load_shop()
    >>> found = cs.campaigns.effect_segments(
    ...     shop.campaign, outcome="spend", arm="arm", control="control",
    ...     customer_id="customer_id", features=["pre_spend"], max_segments=3,
    ... )
    >>> len(found.rules) <= 3, found.account["learned_from"]
    (True, np.int64(2500))
    """
    check_number(max_segments, "max_segments", ge=1, le=100, integer=True)
    check_number(min_share, "min_share", gt=0, le=0.5)
    learner = check_learner(learner)
    trial = read_trial(
        data,
        outcome=outcome,
        arm=arm,
        control=control,
        customer_id=customer_id,
        features=features,
        strata=strata,
    )
    if not trial.known:
        raise ParameterError("features names no column, but the rules are made of features.")
    learn = _half(trial, learner.random_state)
    grown = _part(trial, learn)
    fold = draw_folds(grown, learner)
    with few_threads(len(fold)):
        leaves, learned, by_leaves = _learn_leaves(grown, fold, learner, (max_segments, min_share))
        expected = predict_held(trial, learn, ~learn, learner)
    names = _names(len(leaves))
    held = doubly_robust(_part(trial, ~learn), expected)
    codes = _assign(leaves, trial.features[~learn])
    columns = [column for feature in trial.known for column in feature.columns]
    rules = {
        name: _words(leaf, columns, trial.known) for name, leaf in zip(names, leaves, strict=True)
    }
    table = _measured(held[:, 1:] - held[:, :1], codes, names, trial.arms[1:])
    table.insert(1, "rule", table["segment"].map(rules))
    table["effect_learned"] = learned.ravel()
    labels = pd.Series(
        pd.Categorical.from_codes(codes, names, ordered=True), trial.rows.index[~learn]
    )
    account = pd.concat(
        [trial.account, pd.Series({"learned_from": learn.sum(), "estimated_on": (~learn).sum()})]
    )
    return EffectSegments(
        labels.reindex(trial.rows.index).rename("segment"),
        table,
        _heterogeneity(table),
        rules,
        by_leaves,
        trial.rows.index[learn],
        account.rename("rows"),
        _notes(table),
        tuple(leaves),
        tuple(trial.known),
        pd.DataFrame(held, trial.rows.index[~learn], trial.arms),
    )


def _half(trial: Trial, random_state: int) -> Mask:
    """Draw half of the customers within strata and arms."""
    draw = np.random.default_rng(random_state).random(len(trial.arm))
    shuffled = np.lexsort((draw, trial.stratum, trial.arm))
    learn = np.zeros(len(trial.arm), dtype=bool)
    learn[shuffled[::2]] = True
    return learn


def _part(trial: Trial, rows: Mask) -> Trial:
    return Trial(
        trial.rows[rows],
        trial.outcome[rows],
        trial.arm[rows],
        trial.arms,
        trial.propensity[rows],
        trial.stratum[rows],
        trial.features[rows],
        trial.known,
        None,
        trial.account,
    )


def _learn_leaves(
    trial: Trial, fold: Codes, learner: Learner, limits: tuple[int, float]
) -> tuple[list[_Leaf], Matrix, pd.DataFrame]:
    """Return the leaves that predict best, their effects, and how well each number predicts."""
    predicted = predict_outcomes(trial, fold, learner)
    scores = doubly_robust(trial, predicted[fold, np.arange(len(fold))])
    effects = scores[:, 1:] - scores[:, :1]
    by_leaves = _gain_by_leaves(trial, fold, predicted, learner, limits)
    best = by_leaves.iloc[int(np.argmax(by_leaves["gain"]))]
    target = effects
    if best["grown_on"] == "uplift":
        everybody = np.ones(len(fold), dtype=bool)
        target = predict_uplift(trial, everybody, everybody, predicted[0], learner)
    leaves = _grow(trial, target, int(best["segments"]), limits[1])
    own = _assign(leaves, trial.features)
    learned = np.array([effects[own == leaf].mean(axis=0) for leaf in range(len(leaves))])
    order = np.argsort(-learned.max(axis=1), kind="stable")
    return [leaves[leaf] for leaf in order], learned[order], by_leaves


def _grow(trial: Trial, effects: Matrix, size: int, min_share: float) -> list[_Leaf]:
    """Return the leaves of the tree that explains most of the effects (n, A - 1)."""
    from sklearn.tree import DecisionTreeRegressor

    share = np.bincount(trial.arm, minlength=len(trial.arms)).min() / len(trial.arm)
    least = max(int(np.ceil(min_share * len(effects))), int(np.ceil(_LEAST / share)))
    if size == 1 or 2 * least > len(effects):
        return [_Leaf(())]
    grown = DecisionTreeRegressor(max_leaf_nodes=size, min_samples_leaf=least, random_state=0)
    tree = grown.fit(trial.features, effects).tree_
    found: list[_Leaf] = []

    def walk(node: int, way: tuple[tuple[int, str, float], ...]) -> None:
        if tree.children_left[node] < 0:
            found.append(_Leaf(way))
            return
        cut = float(tree.threshold[node])
        column = int(tree.feature[node])
        walk(tree.children_left[node], (*way, (column, "<=", cut)))
        walk(tree.children_right[node], (*way, (column, ">", cut)))

    walk(0, ())
    return found


def _assign(leaves: Sequence[_Leaf], X: Matrix) -> Codes:
    return np.argmax(np.column_stack([leaf.holds(X) for leaf in leaves]), axis=1)


def _gain_by_leaves(
    trial: Trial, fold: Codes, predicted: Matrix, learner: Learner, limits: tuple[int, float]
) -> pd.DataFrame:
    """Return by how much trees of each size predict the effects of folds they did not see.

    With e the score of a customer and t the mean in his leaf, 2te - t² estimates, up to what no
    tree changes, how near t is to his effect; the same of the mean of all is taken off.
    """
    most, min_share = limits
    gain = np.zeros((2, most))
    for k in range(int(fold.max()) + 1):
        held, everybody = fold == k, np.ones(len(fold), dtype=bool)
        scores = doubly_robust(trial, predicted[k])
        effects = scores[:, 1:] - scores[:, :1]
        rest, own = _part(trial, ~held), effects[~held]
        uplift = predict_uplift(trial, ~held, everybody, predicted[k], learner)[~held]
        all_alike = own.mean(axis=0)
        for way, target in enumerate((own, uplift)):
            for size in range(2, most + 1):
                leaves = _grow(rest, target, size, min_share)
                codes = _assign(leaves, rest.features)
                means = np.array([own[codes == leaf].mean(axis=0) for leaf in range(len(leaves))])
                told = means[_assign(leaves, trial.features[held])]
                better = 2 * (told - all_alike) * effects[held] - told**2 + all_alike**2
                gain[way, size - 1] += better.sum() / len(effects)
    sizes = np.arange(1, most + 1)
    tables = [
        pd.DataFrame({"segments": sizes, "grown_on": name, "gain": row})
        for name, row in zip(("scores", "uplift"), gain, strict=True)
    ]
    return pd.concat(tables, ignore_index=True)


def _measured(effects: Matrix, codes: Codes, names: list[str], arms: list[Any]) -> pd.DataFrame:
    rows = []
    for g, name in enumerate(names):
        own = effects[codes == g]
        found = mean_estimates(own).rename(columns={"value": "effect"})
        head = {"segment": name, "arm": arms, "n": len(own), "share": len(own) / len(effects)}
        rows.append(pd.DataFrame(head | dict(found)))
    table = pd.concat(rows, ignore_index=True)
    table["p_holm"] = holm(table["p_value"].to_numpy())
    return table


def _heterogeneity(table: pd.DataFrame) -> pd.DataFrame:
    """Return Cochran's Q of the effects of each arm over segments."""
    rows = []
    for arm, own in table.groupby("arm", sort=False):
        known = own[own["se"] > 0] if len(own) > 1 else own[:0]
        weight = 1 / known["se"] ** 2
        pooled = np.average(known["effect"], weights=weight) if len(known) else np.nan
        q, df = float((weight * (known["effect"] - pooled) ** 2).sum()), max(len(known) - 1, 0)
        p_value = float(stats.chi2.sf(q, df)) if df else np.nan
        i2 = max(0.0, 1 - df / q) if q > 0 else np.nan
        rows.append((arm, "difference", q, df, p_value, i2))
    columns = ["arm", "scale", "statistic", "df", "p_value", "i2"]
    return pd.DataFrame(rows, columns=columns)


def _names(n: int) -> list[str]:
    """Return "A", "B", …, "Z", "AA", and so on."""
    letters = [chr(ord("A") + i) for i in range(26)]
    return (letters + [a + b for a in letters for b in letters])[:n]


def _words(leaf: _Leaf, columns: list[str], known: Sequence[Feature]) -> str:
    """Return the rule of a leaf; of several cuts of a column in one direction the last counts."""
    last = {(column, sign): cut for column, sign, cut in leaf.way}
    order = {feature.name: feature.order for feature in known if feature.order}
    parts = []
    for (column, sign), cut in last.items():
        name = columns[column]
        if " = " in name:
            parts.append(name if sign == ">" else name.replace(" = ", " != "))
        elif name in order:
            level = order[name][int(np.floor(cut))]
            parts.append(f"{name} {'up to' if sign == '<=' else 'above'} {level}")
        else:
            parts.append(f"{name} {sign} {cut:.6g}")
    return " and ".join(parts) or "everybody"


def _notes(table: pd.DataFrame) -> tuple[str, ...]:
    notes = []
    notes.append(
        "segments are of half of the customers; assign(...) gives those of all, to act on. Effects "
        "are to be read here, not measured again on the half that segments were learned from."
    )
    few = table.loc[table["n"] < 100, "segment"].unique()
    if len(few):
        notes.append(f"fewer than 100 customers measure the effects in {', '.join(few)}.")
    return tuple(notes)
