# ---
# jupyter:
#   custseg:
#     requires: [wholesale_customers, mcdonalds]
# ---

# %% [markdown]
# # Is it real, and how many?
#
# **Question.** Are these customers divided by nature, or by us, and into how many segments?
#
# **Objectives.**
#
# - See noise pass for segments, by silhouette, by stability and by the customary rules.
# - Know what each null reference takes for structure, and what it cannot see.
# - Look for the one thing that noise does not have: borders that are emptier than both centres.
# - Read a verdict on real customers, and know which of its words are firm and which are soft.
#
# **Minutes.** 40
#
# **Prerequisites.** The notebook "Six algorithms, the same customers".
#
# **Data.** Five small tables made here, the customers of a wholesaler in Portugal, opinions on McDonald's, and the simulated retailer that comes with custseg.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

import custseg as cs

cs.notebook.setup()

# %% [markdown]
# Five exercises stand in this notebook. An answer is checked on the spot, and a wrong one gets a
# hint. The version without solutions is in the folder `exercises`.

# %% [markdown]
# ## Five tables without a name
#
# Each has 500 customers and two columns. Two of the five recipes plant groups, three do not. Then
# the letters are drawn by lot, so that reading the recipes does not tell which table is which.

# %%
rng = np.random.default_rng(0)
n = 500
corners = rng.integers(2, size=(n, 2))
halves = np.column_stack([rng.integers(2, size=n), np.zeros(n)])
recipes = {
    "even square": rng.random((n, 2)),
    "long tails": np.exp(0.8 * rng.normal(size=(n, 2))),
    "one cigar": rng.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], size=n),
    "four groups": 5 * corners + rng.normal(size=(n, 2)),
    "two groups in one column": 5 * halves + rng.normal(size=(n, 2)),
}
drawn = dict(zip("ABCDE", rng.permutation(list(recipes)), strict=True))
tables = {
    letter: pd.DataFrame(recipes[name], columns=["x", "y"]).apply(
        lambda x: (x - x.mean()) / x.std()
    )
    for letter, name in drawn.items()
}

# %% [markdown]
# With twelve columns there would be no picture, so we do not look at one yet. First the number
# that most reports give: the silhouette, here of k-means with two to five segments.

# %%
silhouette = {}
for letter, X in tables.items():
    labelings = {k: KMeans(k, n_init=10, random_state=0).fit_predict(X) for k in range(2, 6)}
    silhouette[letter] = cs.evaluation.silhouettes(X, pd.DataFrame(labelings)).overall
pd.DataFrame(silhouette).rename_axis("k").round(2)

# %% [markdown]
# Then stability. Customers are drawn again with replacement, and the segments are looked for among
# the new ones. Hennig calls a segment stable when its mean Jaccard similarity is .75 or more. This
# is the weakest segment of each cut:

# %%
weakest = {}
for letter, X in tables.items():
    for k in (2, 3, 4, 5):
        firm = cs.evaluation.stability(X, KMeans(k, n_init=10, random_state=0), n_resamples=20)
        weakest[k, letter] = firm.to_frame()["jaccard"].min()
pd.Series(weakest).unstack().rename_axis("k").round(2)

# %% [markdown]
# Every table has some cut that comes back. By this measure alone all five have segments, and we
# know that three have none.
#
# The customary rules for the number of segments are no jury either. The gap statistic compares
# with an even box, prediction strength asks whether one half of the customers predicts the other,
# instability how often two samples disagree on a pair of customers.

# %%
chosen = {}
for letter, X in tables.items():
    chosen[letter] = {
        "gap": cs.evaluation.gap_statistic(X, range(1, 6), n_tables=20).best_k,
        "prediction strength": cs.evaluation.prediction_strength(
            X, range(1, 6), n_splits=15
        ).best_k,
        "instability": cs.evaluation.instability(X, range(2, 6), n_resamples=15).best_k,
    }
pd.DataFrame(chosen)

# %% [markdown]
# Instability cannot answer "one": it has no value there. The other two can. Where they differ,
# which rule would you believe?

# %% [markdown]
# ### Exercise 1
#
# Decide before you see the truth: which two tables hold groups?

# %%
with_groups = ...  # your answer, a list of two letters
# solution
# hint: the numbers above do not settle it; cs.evaluation.natural(X).best_k looks for gaps.
found = {letter: cs.evaluation.natural(X, k=range(2, 6)).best_k for letter, X in tables.items()}
with_groups = [letter for letter, k in found.items() if k]

# %%
cs.notebook.check("06-1", with_groups)

# %% tags=["solution"]
print(found)

# %% [markdown]
# The truth:

# %%
figure, axes = plt.subplots(1, 5, figsize=(10, 2.4), layout="constrained")
for ax, (letter, X) in zip(axes, tables.items(), strict=True):
    sns.scatterplot(data=X, x="x", y="y", s=6, linewidth=0, ax=ax)
    ax.set_title(f"{letter}: {drawn[letter]}", fontsize=8)
    ax.set(xlabel="", ylabel="", xticks=[], yticks=[])
cs.notebook.describe_figure(figure)
plt.show()

# %% [markdown]
# The silhouette put the long tails (.55 with three segments) above the two groups (.45), and
# prediction strength gave four segments to the cigar. The gap statistic was right five times; we
# come back to it.
#
# The even square is the best of the impostors. Four corners of a square are found again in every
# sample, because the square has four corners, not because anybody lives there. Stability says that
# a cut is firm. It does not say that there is anything to cut along.

# %% [markdown]
# ## More than what?
#
# "More structure than in random data" depends on what is random. Each null reference keeps
# something of the table and breaks the rest. These are the p-values of the silhouette, over the
# numbers of segments tried, so .03 is the smallest that 39 null tables allow.

# %%
nulls = ["permuted", "box", "normal", "copula"]
beaten = {}
for letter, X in tables.items():
    against = cs.evaluation.null_references(X, (2, 4), nulls=nulls, n_tables=39).to_frame()
    widths = against[against["index"] == "silhouette"]
    beaten[drawn[letter]] = widths.groupby("null", sort=False)["p_family"].min()
pd.DataFrame(beaten).T.loc[list(recipes)].round(2)

# %% [markdown]
# Read it row by row: a small number says "more than this null".
#
# - The cigar beats the shuffled columns and the box. Both break its correlation, and correlation is
#   what they take for groups. Only the normal lets it pass for what it is.
# - The long tails beat the box and the normal: a dense corner with few customers far out is more
#   than an even spread, and it is not normal. That is skewness, not groups.
# - The even square beats the normal, because it is flatter.
# - And the tables that do hold groups beat neither the shuffled columns nor the copula. Both keep
#   what each column holds, so groups along one column stay in every null table, and so does the
#   grid of four groups: to shuffle a grid gives the same grid.
#
# No column of this table tells the two with groups from the three without. Each null answers its
# own question, and none of them is "are there groups?".

# %% [markdown]
# ### Exercise 2
#
# The long tails are lognormal. Take logarithms of both columns of that recipe, and standardise
# them. How many of the four nulls does its silhouette beat then, at .05?

# %%
nulls_beaten = ...  # your answer, a whole number
# solution
# hint: as above with np.log of recipes["long tails"]; count the smallest p_family per null.
logged = pd.DataFrame(np.log(recipes["long tails"]), columns=["x", "y"])
logged = (logged - logged.mean()) / logged.std()
against = cs.evaluation.null_references(logged, (2, 4), nulls=nulls, n_tables=39).to_frame()
p_logged = against[against["index"] == "silhouette"].groupby("null")["p_family"].min()
nulls_beaten = int((p_logged <= 0.05).sum())

# %%
cs.notebook.check("06-2", nulls_beaten)

# %% tags=["solution"]
p_logged.round(2)

# %% [markdown] tags=["solution"]
# None. Once their shape is straightened, nothing is left to find. Whoever segments raw money
# finds "segments" of size, and may take them for more than the shape of money.

# %% [markdown]
# ## What noise does not have
#
# A cloud without groups may be flat, long or skewed, but on the way from one part of it to another
# it has no valley. So customers are counted on the line between the centres of two neighbouring
# segments. If the strip in the middle holds clearly fewer than both centres do, there is a border.
# Here are the four corners of the even square, and the four groups:

# %%
letters = {name: letter for letter, name in drawn.items()}
square = cs.evaluation.natural(tables[letters["even square"]], k=range(2, 6))
groups = cs.evaluation.natural(tables[letters["four groups"]], k=range(2, 6))
print(square.summary(), groups.summary(), sep="\n")

# %%
square.gaps[4].plot()
cs.notebook.describe_figure()
plt.show()

# %%
groups.gaps[4].plot()
cs.notebook.describe_figure()
plt.show()

# %% [markdown]
# The blue borders are valleys down to a quarter of the centres and less. In the square one border
# dips to .68 and the other is fuller than a centre: with some forty customers in a strip, that is
# chance, and a single dip is no answer for all four.
#
# This is what "natural" means in the verdict below: every border is such a valley, by more than
# chance.
#
# It has a blind side as well. Move the four groups together, step by step. The separation is the
# distance of two centres in standard deviations of a group.

# %%
noise = rng.normal(size=(n, 2))
steps = {}
for separation in (2, 3, 3.5, 4, 5):
    closer = cs.evaluation.natural(pd.DataFrame(separation * corners + noise), k=range(2, 6))
    steps[separation] = {
        "best k": closer.best_k,
        "fullest border at k = 4": closer.to_frame().set_index("k")["ratio"].loc[4],
    }
pd.DataFrame(steps).T.rename_axis("separation")

# %% [markdown]
# Two or three standard deviations apart, the groups exist, for we made them, and no valley shows. At
# 3.5 they are found as two pairs, from four on as four. So the absence of gaps does not prove a continuum: it says that nothing in
# these columns parts the groups, if there are any.

# %% [markdown]
# ## A wholesaler
#
# Now customers whose truth nobody planted: what 440 customers of a wholesaler spend in a year on
# six kinds of goods. Their channel is known, too. We put it aside and ask whether spending knows it.

# %%
wholesale = cs.datasets.load_dataset("wholesale_customers").rename_axis("customer_id")
goods = ["Fresh", "Milk", "Grocery", "Frozen", "Detergents_Paper", "Delicassen"]
evidence = cs.evaluation.compare_segmentations(wholesale, goods, k=range(2, 7), n_resamples=30)
print(evidence.verdict.kind, evidence.verdict.k)
evidence.to_frame()[["k", "ari", "jaccard_min", "silhouette", "p_family", "border_ratio"]]

# %% [markdown]
# Decide before you read on: `p_family` is as small as it can be for every k. Is that a reason to
# believe in six segments?

# %%
print(evidence.verdict.reason)

# %%
evidence.plot()
cs.notebook.describe_figure()
plt.show()

# %% [markdown]
# Shops that buy milk also buy groceries, so the columns correlate, and correlation beats shuffled
# columns at every k. After the last section this impresses nobody. What carries the verdict is the
# first panel: two samples agree on a cut in two, hardly on three, and on four to six no longer.

# %%
evidence.gaps["kmeans with k = 2"].plot()
cs.notebook.describe_figure()
plt.show()

# %% [markdown]
# On the way from one segment to the other the crowd thins out, to 82% of the emptier centre, and a
# gap needs less than 75%. There is a slope, and no border.
#
# And the channel that we put aside?

# %%
two = evidence.labelings["kmeans with k = 2"]
channel = wholesale["Channel"].map({1: "hotels and restaurants", 2: "retail"})
print(f"adjusted Rand index {adjusted_rand_score(channel.loc[two.index], two):.2f}")
pd.crosstab(two, channel)

# %% [markdown]
# Segment A is nearly pure: 97% hotels and restaurants. Segment B is retail with three tenths of the
# others. "Reproducible" was the right word: something real stands behind the direction of the cut,
# and its exact place is ours.
#
# ### Core and borderline customers
#
# A cut has customers deep inside and customers beside it. For each of them `stability` counts how
# many resamples put them where the full fit does. Those with nine in ten are the core.

# %%
spent = np.log1p(wholesale[goods])
spent = (spent - spent.mean()) / spent.std()
in_two = cs.evaluation.stability(spent, KMeans(2, n_init=20, random_state=0), n_resamples=40)
in_two.plot()
cs.notebook.describe_figure()
plt.show()
print(in_two.summary())

# %% [markdown]
# ### Exercise 3
#
# Somebody prefers five segments. Which share of the customers is then in the core?

# %%
share_in_core = ...  # your answer, between 0 and 1
# solution
# hint: the same call with KMeans(5, ...); its result has a Series core of true and false.
in_five = cs.evaluation.stability(spent, KMeans(5, n_init=20, random_state=0), n_resamples=40)
share_in_core = in_five.core.mean()

# %%
cs.notebook.check("06-3", share_in_core)

# %% tags=["solution"]
print(f"{share_in_core:.0%} in the core")
in_five.to_frame()

# %% [markdown] tags=["solution"]
# Barely more than a quarter, after 93% with two. Most customers would be written to as another segment if other customers had been in
# the table. For a campaign that depends on the right segment, five is not a matter of taste.

# %% [markdown]
# And the gap statistic, which was right five times? It compares with an even box, along the columns
# or along the principal components. Here are both, with money as it is and with its logarithm:

# %%
raw = (wholesale[goods] - wholesale[goods].mean()) / wholesale[goods].std()
answers = {}
for scale, table in {"money": raw, "logarithm": spent}.items():
    for box in ("box", "pca_box"):
        gap = cs.evaluation.gap_statistic(table, range(1, 7), reference=box, n_tables=20)
        answers[scale, box] = gap.best_k
pd.Series(answers).unstack()

# %% [markdown]
# Four versions of one rule, four answers, from one to six. Customers of different sizes with
# correlated needs do not look like a box, and the rule has no other word for that than segments.

# %% [markdown]
# ## Opinions on McDonald's
#
# ### Exercise 4
#
# 1,453 people said yes or no to eleven words. Cut them in two, three and four with k-means, and
# look at the borders: how full is the fullest border of the cut in two, in relation to the emptier
# centre beside it?

# %%
words = cs.datasets.load_dataset("mcdonalds").rename_axis("customer_id").iloc[:, :11]
yes = (words == "Yes").astype(float)
fullest_border = ...  # your answer, a number
# solution
# hint: give natural() the labelings; the column ratio of its frame is the fullest border.
cuts = {k: KMeans(k, n_init=50, random_state=0).fit_predict(yes) for k in (2, 3, 4)}
opinions = cs.evaluation.natural(yes, pd.DataFrame(cuts, index=yes.index))
fullest_border = opinions.to_frame().set_index("k").loc[2, "ratio"]

# %%
cs.notebook.check("06-4", fullest_border)

# %% tags=["solution"]
opinions.to_frame()[["k", "gaps", "ratio", "p_value", "natural"]]

# %% [markdown] tags=["solution"]
# .70, and a gap needs less than .75; by chance a border is so empty in one of six hundred cases.
# Yet no gap was counted. The frame of the cut in two says why:

# %% tags=["solution"]
opinions.gaps[2].to_frame()[["segment", "centre", "border", "ratio", "rest", "gap"]]

# %% [markdown] tags=["solution"]
# `rest` is the ratio without the one word in which the two segments differ most. Without it the
# border is nearly as full as the centre beside it. One yes or no parts any crowd in two, so a gap
# that rests on a single word is no gap of opinions. With three and four segments the borders are
# fuller.

# %% [markdown]
# ## A shop
#
# The simulated retailer was built from six planted segments. Do recency, frequency and money of
# its customers show them? We take 1,500 of them.

# %%
shop = cs.datasets.load_shop()
roles = {name: name for name in ("customer_id", "timestamp", "order_id", "line_id", "product")}
orders = cs.Transactions(shop.transactions, quantity="quantity", amount="amount", **roles).clean()
customers = cs.features.rfm(orders, as_of="2024-12-31")
some = customers.sample(1500, random_state=0)
rfm = ["recency", "frequency", "monetary"]
of_shop = cs.evaluation.compare_segmentations(some, rfm, k=range(2, 7), n_resamples=20)
print(of_shop.summary())

# %%
of_shop.to_frame()[["k", "ari", "jaccard_min", "p_family", "border_ratio", "describability"]]

# %% [markdown]
# Every cut up to five comes back, and at every k some border is fuller than the centre beside it:
# a continuum that is cut firmly. Do more segments split the ones before, or are they gathered anew?

# %%
series = of_shop.labelings.rename(columns=lambda name: name.removeprefix("kmeans with "))
across = cs.evaluation.stability_across(series)
print(across.summary())
across.plot()
cs.notebook.describe_figure()
plt.show()

# %% [markdown]
# Yellow segments come from one segment before, dark ones are gathered from several. With three, a
# middle is gathered from both halves alike, which is how a stretch without joints is cut in three
# instead of two.
#
# What of the six that were planted?

# %%
planted = shop.truth.set_index("customer_id")["segment"].loc[of_shop.labelings.index]
pd.crosstab(planted, series["k = 5"])

# %% [markdown]
# The six planted segments lean to different sides, and each is spread over all five. Nobody was
# wrong: segments exist here, and these three columns do not part them. A verdict speaks of the
# columns that it was given.

# %% [markdown]
# ### Exercise 5
#
# The verdict belongs to its number of customers. What is the median adjusted Rand index of the cut
# in six, over 40 resamples of all customers of the shop instead of 1,500?

# %%
ari_of_all = ...  # your answer, a number
# solution
# hint: take logarithms of 1 + customers[rfm], standardise, and call stability() with KMeans(6, n_init=10).
everybody = np.log1p(customers[rfm])
everybody = (everybody - everybody.mean()) / everybody.std()
in_six = cs.evaluation.stability(everybody, KMeans(6, n_init=10, random_state=0), n_resamples=40)
ari_of_all = in_six.ari

# %%
cs.notebook.check("06-5", ari_of_all)

# %% tags=["solution"]
print(in_six.summary())

# %% [markdown] tags=["solution"]
# With 1,500 customers the cut in six fell short of .8. With three times as many it passes, and no
# customer has moved away from another. More data make any cut firmer. They do not make it natural.

# %% [markdown]
# ## Key points
#
# - A firm cut is not a border. Even noise in a square is cut into nearly the same four corners each time.
# - "More than random" needs the question "more than which?". Correlation, skewness and flatness
#   each beat some null without any groups, and shuffled columns hide groups that lie on a grid.
# - Noise has no valleys. Where every border is emptier than both centres, segments are natural.
# - No valley does not mean no groups: those closer than four standard deviations may merge.
# - None of the real tables here has gaps all around. Where customers are a continuum, segments are
#   made, not found. Their number is a choice among the cuts that come back, and it belongs to
#   whoever has to work with them.
#
# ## Decision
#
# Your management wants five segments of the wholesaler's customers. What do you say, and which
# customers would you leave out of a campaign that must reach the right segment?

# %% tags=["nbval-ignore-output"]
cs.notebook.session_info()
