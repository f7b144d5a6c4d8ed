"""What comments are about: themes found or given, per customer, without a network."""

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer

from custseg.errors import ConvergenceError, DataError, ParameterError, check_number
from custseg.features._answers import names_in, read_answers
from custseg.features.dictionary import Column, attach
from custseg.results import Result
from custseg.tables import Survey, require_roles

ABOUT = 0.25
"""A comment is about a found theme from this share on."""

WORD = r"(?u)[^\W\d_]{2,}(?:['\u2019][^\W\d_]+)?"


@dataclass(frozen=True, repr=False, eq=False)
class CommentThemes(Result):
    """What customers write about.

    Parameters
    ----------
    weights
        One row per customer and one column per theme. Of found themes: the share of the comment
        that belongs to each; what is left belongs to none. Of themes given as keywords: 1 where a
        keyword occurs. Missing without a comment. ``attrs`` has the data dictionary.
    themes
        One row per theme, in order of `customers`: `theme`, `words`, `customers` (whose comment is
        at least a quarter about it, or has a keyword) and `share` of those who commented. A
        comment may be about several.
    notes
        What to know and what to do.
    """

    weights: pd.DataFrame
    themes: pd.DataFrame
    notes: Sequence[str] = ()

    _picture: ClassVar[str] = "survey.comment_themes"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per theme."""
        return self.themes.copy()

    def summary(self) -> str:
        """Return the themes with the share of comments about each."""
        said = int(self.weights.notna().all(axis=1).sum())
        words = [f"{row.theme} ({row.share:.0%})" for row in self.themes.itertuples()]
        return f"{len(words)} themes in {said:,} comments: {'; '.join(words)}."

    def _shown(self) -> pd.DataFrame:
        return self.themes.set_index("theme")


def comment_themes(
    survey: Survey,
    themes: int | Mapping[str, Sequence[str]] = 6,
    *,
    as_of: Any = None,
    stop_words: Sequence[str] | None = None,
    min_customers: int = 5,
    random_state: int = 0,
) -> CommentThemes:
    """Find the themes of free-text comments, or count those that are given as keywords.

    Parameters
    ----------
    survey
        Responses with the role comment, one per customer.
    themes
        How many themes to find; or theme to keywords, such as ``{"price": ["cheap*",
        "too expensive"]}``, where ``*`` stands for any ending.
    as_of
        The last date that counts; ``None`` is the last one present.
    stop_words
        Words without meaning of their own; ``None`` is scikit-learn's English list.
    min_customers
        A word counts only if at least so many customers use it: it keeps names out, and chance.
    random_state
        The seed of the factorisation.

    Returns
    -------
    CommentThemes
        Found themes are named by their three strongest words. They are a non-negative matrix
        factorisation of TF-IDF weights (logarithmic counts, rows of length one), the same for any
        order of rows.

    Raises
    ------
    ColumnError
        If the role comment is not named.
    DataError
        If nobody commented, or fewer words than themes are left.
    ParameterError
        If `themes` is neither a number nor names themes with keywords.
    ConvergenceError
        If the factorisation does not settle.

    References
    ----------
    Lee, D. D. & Seung, H. S. (1999), Nature 401, 788-791. Salton, G. & Buckley, C. (1988),
    Information Processing & Management 24, 513-523.

    Examples
    --------
    >>> import pandas as pd
    >>> import custseg as cs
    >>> answers = pd.DataFrame({"who": ["ann", "bob", "eve"], "said": [
    ...     "Too expensive for me", "Great staff, low prices", None]})
    >>> survey = cs.Survey(answers, customer_id="who", comment="said")
    >>> found = comment_themes(survey, {"price": ["expensive", "price*"], "staff": ["staff"]})
    >>> found.weights
                 theme_price  theme_staff
    customer_id
    ann                  1.0          0.0
    bob                  1.0          1.0
    eve                  NaN          NaN
    """
    require_roles(survey, ["comment"], what="comment_themes")
    check_number(min_customers, "min_customers", ge=1, integer=True)
    check_number(random_state, "random_state", ge=0, integer=True)
    if not isinstance(themes, Mapping):
        check_number(themes, "themes", ge=1, integer=True)
    rows, day = read_answers(survey, texts=["comment"], as_of=as_of)
    comments = rows["comment"].dropna().astype(str).str.strip()
    comments = comments[comments != ""]
    if comments.empty:
        raise DataError("nobody wrote a comment. Leave comment themes out.")
    if isinstance(themes, Mapping):
        shares, words, notes = _count_keywords(comments, themes)
        about = shares > 0
        kind, definition = "binary", "whether the comment has one of: {}"
    else:
        stop = ENGLISH_STOP_WORDS if stop_words is None else names_in(stop_words, "stop_words")
        vectorizer = TfidfVectorizer(
            token_pattern=WORD,
            stop_words=sorted({word.lower() for word in stop}),
            min_df=min_customers,
            sublinear_tf=True,
        )
        shares, words, notes = _factorise(comments, themes, vectorizer, random_state)
        about = shares >= ABOUT
        kind, definition = "share", "share of the comment about: {}"
    table = pd.DataFrame(
        {
            "theme": list(words),
            "words": list(words.values()),
            "customers": about.sum().to_numpy(),
            "share": about.mean().to_numpy(),
        }
    ).sort_values(["customers", "theme"], ascending=[False, True], ignore_index=True)
    weights = shares[table["theme"]].reindex(rows.index).add_prefix("theme_")
    entries = {
        f"theme_{row.theme}": Column("satisfaction", kind, definition.format(row.words), "survey")
        for row in table.itertuples()
    }
    return CommentThemes(attach(weights, entries, as_of=day), table, notes)


def _factorise(
    comments: pd.Series, n_themes: int, vectorizer: TfidfVectorizer, seed: int
) -> tuple[pd.DataFrame, dict[str, str], tuple[str, ...]]:
    users = vectorizer.min_df
    try:
        weights = vectorizer.fit_transform(comments)
    except ValueError:
        raise DataError(
            f"no word but stop words is used by {users:,} customers. Lower min_customers, or give "
            "keywords."
        ) from None
    if n_themes > min(weights.shape):
        raise DataError(
            f"{n_themes} themes were asked of {weights.shape[0]:,} comments with "
            f"{weights.shape[1]:,} words that {users:,} customers use. Ask for fewer themes, or "
            "lower min_customers."
        )
    model = NMF(n_themes, init="nndsvda", random_state=seed, max_iter=2_000, tol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            loadings = model.fit_transform(weights)
        except ConvergenceWarning:
            raise ConvergenceError(
                f"{n_themes} themes did not settle in 2,000 rounds. Ask for fewer."
            ) from None
    mass = np.asarray(weights.sum(axis=1))
    shares = loadings * model.components_.sum(axis=1) / np.where(mass > 0, mass, 1)
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1)
    explained = 1 - model.reconstruction_err_**2 / weights.power(2).sum()
    other = int((shares.max(axis=1) < ABOUT).sum())
    note = (
        f"the themes account for {explained:.0%} of what the comments' words weigh; {other:,} of "
        f"{len(comments):,} comments are about none of them (under {ABOUT:.0%} each)."
    )
    words = _top_words(model.components_, vectorizer.get_feature_names_out())
    return pd.DataFrame(shares, comments.index, list(words)), words, (note,)


def _top_words(components: np.ndarray, vocabulary: np.ndarray) -> dict[str, str]:
    """Return a name for each theme, and its eight strongest words; equal ones in ABC order."""
    order = [np.lexsort((vocabulary, -row.round(12))) for row in components]
    for length in range(3, len(vocabulary) + 3):
        names = ["_".join(vocabulary[ranks[:length]]) for ranks in order]
        if len(set(names)) == len(names):
            break
    return {
        name: ", ".join(vocabulary[ranks[:8]][row[ranks[:8]] >= row.max() / 10])
        for name, ranks, row in zip(names, order, components, strict=True)
    }


def _count_keywords(
    comments: pd.Series, themes: Mapping[str, Sequence[str]]
) -> tuple[pd.DataFrame, dict[str, str], tuple[str, ...]]:
    if not themes:
        raise ParameterError("themes names no theme. Give a number, or {'price': ['cheap*']}.")
    said = comments.str.lower()
    found, words, unused = {}, {}, []
    for theme, keywords in themes.items():
        keywords = names_in(keywords, f"the theme {theme!r}")
        if not keywords or not all(word.strip(" *") for word in keywords):
            raise ParameterError(f"the theme {theme!r} needs keywords with letters.")
        hits = {word: said.str.contains(_pattern(word), regex=True) for word in keywords}
        unused += [word for word, hit in hits.items() if not hit.any()]
        found[theme] = pd.DataFrame(hits).any(axis=1).astype(float)
        words[theme] = ", ".join(keywords)
    shares = pd.DataFrame(found, comments.index)
    notes = [f"no comment has {', '.join(map(repr, unused))}."] if unused else []
    silent = int((shares.max(axis=1) == 0).sum())
    if silent:
        notes.append(f"{silent:,} of {len(said):,} comments have none of the keywords.")
    return shares, words, tuple(notes)


def _pattern(word: str) -> str:
    ending = re.escape(word.lower().strip()).replace(re.escape("*"), r"\w*")
    return rf"(?<!\w){ending}(?!\w)"
