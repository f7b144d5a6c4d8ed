# %% [markdown]
# # Six algorithms, the same customers
#
# **Question.** Does it matter which algorithm makes the segments, and how would one choose?
#
# **Objectives.**
#
# - Say what a segment is to each of six algorithms, and when each of them fails.
# - Measure how far they agree on the same customers, and how far each agrees with itself.
# - Put new customers into segments, and see who is near a border and who is like nobody.
# - Store a model, and assign customers in the database where they live.
#
# **Minutes.** 40
#
# **Prerequisites.** The notebook "Know your customers".
#
# **Data.** Points that are planted here, and the simulated retailer that comes with custseg.

# %%
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

import custseg as cs

cs.notebook.setup()

# %% [markdown]
# Five exercises stand in this notebook. An answer is checked on the spot, and a wrong one gets a
# hint. The version without solutions is in the folder `exercises`.

# %% [markdown]
# ## What is a segment?
#
# Every algorithm answers with segments, and hardly two of them mean the same by the word. The
# catalogue says what each looks for:

# %%
names = ["kmeans", "ward", "average", "gaussian_mixture", "hdbscan", "kmedoids"]
for name in names:
    print(f"{name}: {cs.clustering.ALGORITHMS[name].description}")

# %% [markdown]
# On real customers nobody knows the right answer. So we begin with points of which we know it:
# five shapes, each of groups that an eye finds at once.

# %%
rng = np.random.default_rng(0)


def cloud(n, centre, spread):
    return rng.normal(centre, spread, (n, 2))


angle = rng.uniform(0, 2 * np.pi, 300)
circle = 4 * np.column_stack([np.cos(angle), np.sin(angle)])
corners = [(0, 0), (4, 0), (2, 3.5)]
tilt = np.array([[1, 1], [-1, 1]]) / np.sqrt(2)
shapes = {
    "round": [cloud(150, corner, 0.7) for corner in corners],
    "stretched": [cloud(150, (0, y), (2, 0.35)) @ tilt for y in (0, 2.2, 4.4)],
    "unequal": [cloud(400, (0, 0), 1.5), cloud(50, (4.8, 0), 0.25)],
    "ring": [cloud(150, (0, 0), 0.6), circle + cloud(300, 0, 0.3)],
    "giants": [cloud(150, corner, 0.7) for corner in corners],
}
planted = {
    shape: pd.concat(
        [pd.DataFrame(part, columns=["x", "y"]).assign(group=i) for i, part in enumerate(parts)],
        ignore_index=True,
    )
    for shape, parts in shapes.items()
}
giants = pd.DataFrame(cloud(5, (18, 12), 2), columns=["x", "y"]).assign(group=-1)
planted["giants"] = pd.concat([planted["giants"], giants], ignore_index=True)
sizes = {shape: points["group"].value_counts() for shape, points in planted.items()}
pd.DataFrame(sizes).fillna(0).astype(int)

# %% [markdown]
# The last shape is the first one again with five giants far away, group -1: customers who are no
# group, but are there. Each algorithm is told the number of groups, except HDBSCAN, which finds
# it itself.

# %%
models = {}
for shape, points in planted.items():
    for name in names:
        model = cs.clustering.SegmentationModel(
            name,
            n_segments=None if name == "hdbscan" else points["group"].max() + 1,
            variables=["x", "y"],
            encoder=None,
            random_state=0,
        )
        models[shape, name] = model.fit(points)

# %% [markdown]
# How near is an answer to the truth? The adjusted Rand index (ARI) counts pairs of customers who
# are together in both. It is 1 for the same groups under any names and 0 for what chance would
# give. The giants are left out of it; only what became of the others counts.


# %%
def recovery(model, points):
    real = points["group"] >= 0
    return adjusted_rand_score(points.loc[real, "group"], model.labels_[real])


found = pd.Series({key: recovery(model, planted[key[0]]) for key, model in models.items()})
found.unstack().loc[list(planted), names].round(2)

# %%
dots = {"marker": "s", "s": 3, "linewidths": 0}
drawn = pd.concat(
    {key: planted[key[0]].assign(label=model.labels_) for key, model in models.items()},
    names=["shape", "name"],
)
low, high = (drawn.groupby(["shape", "name"])[["x", "y"]].transform(end) for end in ("min", "max"))
box = 0.85 * (drawn[["x", "y"]] - low) / (high - low) - 0.425
row = drawn.index.get_level_values("shape").map(list(planted).index)
column = drawn.index.get_level_values("name").map(names.index)
colour = drawn["label"].mod(7).where(drawn["label"] >= 0, 7)
figure, ax = plt.subplots(figsize=(8, 6), layout="constrained")
ax.scatter(box["x"] + column, row - box["y"], c=colour, cmap="Dark2", vmin=0, vmax=7, **dots)
ax.set_xticks(range(6), names)
ax.set_yticks(range(5), planted)
ax.set(xlim=(-0.5, 5.5), ylim=(4.5, -0.5))
ax.xaxis.tick_top()
ax.grid(visible=False)
cs.notebook.describe_figure(figure)
plt.show()

# %% [markdown]
# Round groups of one size are easy: everybody finds them, and HDBSCAN leaves out a few at the rim
# (grey). Then each fails in a way of its own.
#
# - **k-means, Ward and k-medoids** want round segments of one size. They cut long groups across,
#   and give the small group a piece of the large one.
# - **Average linkage** merges what is near. It can end with nearly everybody in one segment, and
#   a handful of stragglers in each of the others.
# - **The mixture** knows size, spread and direction, so that stripes and the tight little group are
#   its own. A ring is no normal distribution.
# - **HDBSCAN** follows density wherever it leads, round the ring too. Where a stripe is thin, it
#   breaks.
# - **Five giants** get a segment of their own from four algorithms, and two real groups are merged
#   to pay for it. k-medoids adds distances, not their squares, and bears them. HDBSCAN calls them
#   noise.
#
# Nobody wins everywhere, and no algorithm says when it is outside its own kind of data.

# %% [markdown]
# ### Exercise 1
#
# The catalogue has more. Which of `"spectral"`, `"minibatch_kmeans"`, `"bisecting_kmeans"` and
# `"tree_rules"` find the ring (an index above .9)?

# %%
finders = ...  # your answer, a list of names
# solution
# hint: fit each with two segments, variables ["x", "y"] and encoder=None, and call recovery().
candidates = ["spectral", "minibatch_kmeans", "bisecting_kmeans", "tree_rules"]
indices = {}
for name in candidates:
    candidate = cs.clustering.SegmentationModel(
        name, n_segments=2, variables=["x", "y"], encoder=None, random_state=0
    )
    indices[name] = recovery(candidate.fit(planted["ring"]), planted["ring"])
finders = [name for name in candidates if indices[name] > 0.9]

# %%
cs.notebook.check("04-1", finders)

# %% tags=["solution"]
pd.Series(indices).round(2)

# %% [markdown] tags=["solution"]
# Only spectral clustering, which follows chains of near neighbours. Nobody else looks for a ring.

# %% [markdown]
# ## The same customers
#
# Now customers: recency, frequency and money of the shop. Average linkage makes room for the rules
# of the trade: eleven named cells of the scores for recency and frequency.

# %%
shop = cs.datasets.load_shop()
orders = cs.Transactions(
    shop.transactions,
    customer_id="customer_id",
    timestamp="timestamp",
    order_id="order_id",
    product="product",
    amount="amount",
    quantity="quantity",
).clean()
customers = cs.features.rfm(orders, as_of="2024-12-31")
variables = ["recency", "frequency", "monetary"]
kinds = cs.features.describe_columns(customers)
six = ["kmeans", "ward", "gaussian_mixture", "hdbscan", "kmedoids", "rfm_rules"]


def new_model(name):
    return cs.clustering.SegmentationModel(
        name,
        n_segments=4 if cs.clustering.ALGORITHMS[name].needs_n_segments else None,
        variables=variables,
        dictionary=kinds,
        order_by="monetary",
        random_state=0,
    )


fitted = {name: new_model(name).fit(customers) for name in six}
pd.DataFrame(
    {
        name: {
            "segments": len(model.sizes_),
            "largest": model.sizes_["share"].max(),
            "smallest": model.sizes_["share"].min(),
            "in none": model.noise_share_,
        }
        for name, model in fitted.items()
    }
).T.round(3).astype({"segments": int})

# %%
some = customers.sample(1500, random_state=0)
figure, axes = plt.subplots(2, 3, figsize=(8, 4.6), sharex=True, sharey=True, layout="constrained")
for ax, (name, model) in zip(axes.flat, fitted.items(), strict=True):
    segment = model.segments_[some.index]
    known = segment.notna()
    ax.scatter(some["recency"] + 1, some["monetary"], color="0.8", **dots)
    ax.scatter(
        some["recency"][known] + 1,
        some["monetary"][known],
        c=segment[known].cat.codes,
        cmap="viridis",
        **dots,
    )
    ax.set(title=name, xscale="log", yscale="log")
axes[1, 1].set_xlabel("days since the last order + 1")
figure.supylabel("money spent")
cs.notebook.describe_figure(figure)
plt.show()

# %%
fitted["kmeans"]

# %% [markdown]
# Dark is the segment that spends most. k-means cuts into quarters of similar size: good and
# recent, middling and silent, small and recent, small and silent. Ward draws the same with a rougher
# hand. k-medoids cuts upright, by recency alone on the right: Gower's dissimilarity divides plain
# numbers by their range, and the few who spend thousands make the differences among the others
# small. Two pictures want a closer look.

# %%
fitted["gaussian_mixture"]

# %%
few = customers["frequency"].clip(upper=8).rename("orders (8 = 8 or more)")
pd.crosstab(few, fitted["hdbscan"].segments_.astype(object).fillna("none"))

# %% [markdown]
# D of the mixture is everybody with exactly one order. A normal distribution without any spread
# fits a value that many share better than any other can, and the likelihood loves it. HDBSCAN goes
# all the way: B to F are five, four, three, two and one order. Orders are whole numbers, in
# logarithms the small ones lie far apart, and between them nobody can be. Those gaps are there in
# the arithmetic, not in the customers.

# %% [markdown]
# ### Exercise 2
#
# Much of this is decided before any algorithm runs. The model takes logarithms of skewed columns.
# Fit k-means with four segments on the columns as they are, only standardised
# (`encoder=StandardScaler()`). How many customers are in the segment that spends most?

# %%
top_segment = ...  # your answer, a whole number
# solution
# hint: new_model("kmeans").set_params(encoder=StandardScaler(), dictionary=None).
plain = new_model("kmeans").set_params(encoder=StandardScaler(), dictionary=None).fit(customers)
top_segment = int(plain.sizes_.loc["A", "n"])

# %%
cs.notebook.check("04-2", top_segment)

# %% tags=["solution"]
plain

# %% [markdown] tags=["solution"]
# 324 instead of 1,188. In plain money and orders the large customers are far from everybody and from
# each other, and least squares spends its segments on them, as it did on the giants.

# %% [markdown]
# ## Do they agree?

# %%
labels = {name: model.labels_ for name, model in fitted.items()}
agreement = pd.DataFrame(
    {a: {b: adjusted_rand_score(labels[a], labels[b]) for b in six} for a in six}
)
figure, ax = plt.subplots(figsize=(6, 4.2), layout="constrained")
sns.heatmap(agreement, vmin=0, vmax=1, cmap="crest", annot=True, fmt=".2f", ax=ax)
ax.grid(visible=False)
cs.notebook.describe_figure(figure)
plt.show()

# %% [markdown]
# Hardly. k-means and Ward share the most, .50, though they minimise the same sum of squares. Is
# this much or little? Compare it with how each agrees with itself: fitted on two halves of the
# customers, and asked about all of them.

# %%
halves = [customers.iloc[0::2], customers.iloc[1::2]]
with_itself = {}
for name in six:
    one, other = (new_model(name).fit(half).predict(customers).cat.codes for half in halves)
    with_itself[name] = adjusted_rand_score(one, other)
pd.Series(with_itself).round(2)

# %% [markdown]
# k-means and k-medoids draw nearly the same borders from other customers. Ward's from one half agree
# with Ward's from the other (.30) less than with those of k-means on all of them (.50): every merger
# depends on all before it, and a few other customers change the end. The mixture is in between.
#
# And two that are steady for reasons of their own. Cut points of rules are quantiles, which hardly
# move. HDBSCAN finds the same whole numbers in each half. Steady is necessary; it does not make a
# segmentation meaningful.
#
# Whoever cannot decide can let them vote. Segments of three algorithms are matched, and each has a
# vote on every customer.

# %%
vote = cs.clustering.Consensus(4, members=["kmeans", "ward", "gaussian_mixture"], random_state=0)
voted = new_model("kmeans").set_params(algorithm=vote, n_segments=None).fit(customers)
print(voted.estimator_.summary())
votes = pd.Series(voted.estimator_.agreement_, index=customers.sort_index().index)
unanimous = (votes > 0.99).groupby(voted.segments_, observed=True).mean()
print(f"all three agree on {(votes > 0.99).sum():,} customers")
unanimous.round(2)

# %% [markdown]
# On half of the customers the three agree; the others are in one segment or another by choice of
# the method. That is worth knowing before a single one of them gets a letter that begins with
# "As one of our best customers".
#
# This shop is simulated, and the kinds of customers that were planted are known. Who found them?

# %%
planted_kind = shop.truth.set_index("customer_id")["segment"].reindex(customers.index)
against_truth = {name: adjusted_rand_score(planted_kind, labels[name]) for name in six}
pd.Series(against_truth).round(2)

# %% [markdown]
# Nobody. The six kinds differ in attitude, journey and habits, and three columns on orders and
# money do not hold that. No algorithm brings back what the variables left out: a day spent on other
# variables is worth more than a week spent on other algorithms.

# %% [markdown]
# ## Rules that are yours
#
# Five of the six find their borders themselves. Rules are written down first, in the units of the
# table, by somebody who can be asked why.

# %%
fitted["rfm_rules"].estimator_.rules_.head(4)

# %% [markdown]
# ### Exercise 3
#
# Write rules of your own: "best" has scores of 4 or 5 for recency and for frequency, "lost" has 1
# or 2 for recency, and everybody else is "middle". Which share of all money is spent by the best?

# %%
share_of_best = ...  # your answer, between 0 and 1
# solution
# hint: RFMRules(cells=...) takes a frame with a row per rectangle; "middle" needs two of them.
cells = pd.DataFrame(
    {
        "segment": ["best", "middle", "middle", "lost"],
        "r_min": [4, 3, 4, 1],
        "r_max": [5, 3, 5, 2],
        "f_min": [4, 1, 1, 1],
        "f_max": [5, 5, 3, 5],
    }
)
own = new_model("rfm_rules").set_params(algorithm=cs.clustering.RFMRules(cells=cells))
spent = customers["monetary"].groupby(own.fit(customers).segments_, observed=True).sum()
share_of_best = spent["best"] / spent.sum()

# %%
cs.notebook.check("04-3", share_of_best)

# %% tags=["solution"]
print(f"the best: {own.sizes_.loc['best', 'share']:.0%} of customers, {share_of_best:.0%} of money")

# %% [markdown] tags=["solution"]
# A quarter brings more than half. The names are the ones that we gave.

# %% [markdown]
# ## New customers
#
# A segmentation is made once and used for a year. This one knows the customers of September. Those
# who came in the last quarter are put into its segments.

# %%
autumn = cs.features.rfm(orders, as_of="2024-09-30")
model = new_model("kmeans").fit(autumn)
newcomers = customers.drop(autumn.index, errors="ignore")
assigned = model.assign(newcomers)
print(assigned["segment"].value_counts(sort=False).to_dict())
assigned.head(4)

# %% [markdown]
# `distance` is that to the centre of the segment, in the model's own units. `margin` says how much
# nearer it is than the `second` centre: 0 on the border, 1 in the centre. Newcomers are C or D: in
# three months hardly anybody can become anything else.

# %%
margin = model.assign(some)["margin"]
figure, ax = plt.subplots(layout="constrained")
points = ax.scatter(
    some["recency"] + 1, some["monetary"], c=margin, cmap="viridis", **dots | {"s": 12}
)
ax.set(xscale="log", yscale="log", xlabel="days since the last order + 1", ylabel="money spent")
figure.colorbar(points, label="margin")
cs.notebook.describe_figure(figure)
plt.show()

# %% [markdown]
# Dark bands are the borders. As many customers live there as anywhere: no border runs through a
# valley. Who is in a dark band may change segments with the next order, without having changed.

# %% [markdown]
# ### Exercise 4
#
# Which share of the newcomers is beside a border, with a margin under .1?

# %%
beside = ...  # your answer, between 0 and 1
# solution
# hint: the mean of a comparison is a share.
beside = (assigned["margin"] < 0.1).mean()

# %%
cs.notebook.check("04-4", beside)

# %% tags=["solution"]
print(f"{beside:.1%} of {len(newcomers):,} newcomers")

# %% [markdown]
# ### Like nobody
#
# Three customers whom no segment has seen the like of: or two of them.

# %%
strangers = pd.DataFrame(
    {"recency": [3, 3, 720], "frequency": [12, 400, 60], "monetary": [1200.0, 90_000.0, 9.0]},
    index=["one of us", "wholesaler", "mistyped"],
)
answers = {name: fitted[name].assign(strangers) for name in six}
together = pd.concat(answers, names=["algorithm", "customer"])
together[["segment", "margin", "posterior", "unlike"]]

# %% [markdown]
# Five of six call the wholesaler one of the best customers, and the mixture is certain of it:
# posterior 1. A posterior compares segments with each other, and cannot say that none of them
# fits. HDBSCAN says it by naming no segment. For all the others there is `unlike`: farther off than
# 99.9% of the customers of the fit. Look at it before you look at the segment.

# %% [markdown]
# ## From the notebook to the warehouse
#
# The model goes into a file. Nothing in it can run, and no customer of the fit is in it. The
# manifest says in plain text what it is.

# %%
with TemporaryDirectory() as folder:
    model.save(Path(folder, "segments.custseg"))
    manifest = cs.clustering.read_manifest(Path(folder, "segments.custseg"))
    loaded = cs.load_model(Path(folder, "segments.custseg"))
print(manifest["summary"])
print("as of", manifest["as_of"])
for feature in manifest["features"]:
    print(f"{feature['column']}: {feature['definition']}")

# %% [markdown]
# The customers do not have to come to the model. `assign_in` turns it into a query that the engine
# of the table runs: here DuckDB, elsewhere Spark or a warehouse. One row is spoiled, to see what
# happens to it.

# %%
rows = customers.reset_index()
rows.loc[0, "monetary"] = np.nan
people = duckdb.from_df(rows)
in_warehouse = loaded.assign_in(people)
duckdb.sql("FROM in_warehouse ORDER BY customer_id LIMIT 3").df()

# %%
there = in_warehouse.df().set_index("customer_id")["segment"].drop(rows.loc[0, "customer_id"])
here = loaded.predict(customers)
bool((there == here[there.index].astype(str)).all())

# %% [markdown]
# The same segment for every customer, ties included, and no row lost: the spoiled one comes back with
# a reason in place of a segment. Where a rule has no such form, the error names the algorithms that
# have one.

# %% [markdown]
# ### Exercise 5
#
# Which share of the money of all customers with a segment does each segment have? Ask the database:
# join `in_warehouse` with `people` in SQL.

# %%
shares = ...  # your answer: a Series or dictionary from segment to share
# solution
# hint: sum(monetary) / sum(sum(monetary)) OVER () is a share of the total.
answer = duckdb.sql(
    """
    SELECT segment, sum(monetary) / sum(sum(monetary)) OVER () AS share
    FROM in_warehouse JOIN people USING (customer_id)
    WHERE segment IS NOT NULL GROUP BY segment ORDER BY segment
    """
).df()
shares = answer.set_index("segment")["share"]

# %%
cs.notebook.check("04-5", shares)

# %% tags=["solution"]
shares.round(3)

# %% [markdown]
# ## Key points
#
# - Each algorithm has an idea of what a segment is. It finds that, and never says that it is not there.
# - Scales and logarithms come before the algorithm, and decide as much.
# - A gap may be in the arithmetic, a steady answer may be empty: look at what the segments hold.
# - Where customers are a continuum, algorithms disagree about half of them, and any border is a choice.
# - No algorithm finds what the variables do not hold.
# - `margin` tells who is near a border, `unlike` who is like nobody; a posterior of 1 tells neither.
#
# ## Decision
#
# Four letters are to be written for four segments of this shop. Which of the six segmentations
# would you hand over, and what do you answer a colleague whose algorithm gives another one?

# %% tags=["nbval-ignore-output"]
cs.notebook.session_info()
