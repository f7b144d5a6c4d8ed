# ---
# jupyter:
#   custseg:
#     requires: [cdnow_sample]
# ---

# %% [markdown]
# # What is a customer worth?
#
# **Question.** Who is still a customer, what will they bring from now on, and how sure is that?
#
# **Objectives.**
#
# - Say of a silent customer how likely it is that there will be another order.
# - Hold a model of lifetimes against a period that it has not seen, and against the plain forecast.
# - Put a discounted value on every customer and an honest interval on every segment.
# - See where one model for everybody goes wrong, and what an interval does not contain.
#
# **Minutes.** 45
#
# **Prerequisites.** The notebook "Know your customers".
#
# **Data.** CDNOW, an early shop for music: a year and a half of purchases of 2,357 people who first bought in spring 1997. And the simulated retailer that comes with custseg.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import custseg as cs

cs.notebook.setup()

# %% [markdown]
# Five exercises stand in this notebook. An answer is checked on the spot, and a wrong one gets a
# hint. The version without solutions is in the folder `exercises`.

# %% [markdown]
# ## Nobody says goodbye
#
# A subscriber cancels. A buyer of records just does not come again, and nobody learns of it. So
# the first question about a customer's value is not how much, but whether there is a customer.
#
# We stand on the last day of September 1997 and know what each of them did up to then.

# %%
lines = cs.datasets.load_cdnow()
roles = {"customer_id": "sample_id", "timestamp": "date", "amount": "dollar_value"}
music = cs.Transactions(lines, **roles).clean(nonpositive="keep")
print(music.account.summary())
today = "1997-09-30"
summary = cs.value.btyd_summary(music, as_of=today)
summary.head(4)

# %% [markdown]
# Eight purchases at a price of zero are kept here, because whoever orders a free record is still
# there. It is a decision, and it changes the numbers below in the third digit.
#
# Recency, frequency and money again? Not quite. Here are the same four people as `rfm` counts them:

# %%
rfm = cs.features.rfm(music, as_of=today)
rfm.head(4)

# %% [markdown]
# The names are the same, the numbers are not. `rfm` counts all orders, and recency is the time
# *since* the last one. In the table above `frequency` counts repeat purchases, `recency` is the customer's age at
# the last one, and `T` the age today. Who mixes them up gets a fit, and a wrong one. So the mix-up
# is refused:

# %%
try:
    cs.value.BetaGeo().fit(rfm)
except cs.errors.ColumnError as error:
    print(error)

# %%
print(f"{(summary['frequency'] == 0).mean():.0%} have no repeat purchase")

# %% [markdown]
# Three in five never bought again, so far. Are they gone, or slow? Their row looks the same in
# both cases: zero, zero, and an age.

# %% [markdown]
# ## Two models of the same silence
#
# Both models say: while active, everybody buys at random moments, at a rate of their own. They
# differ in when somebody may leave. In the BG/NBD model that happens only right after a repeat
# purchase, in the Pareto/NBD model at any time. The published fits count time in weeks:

# %%
weeks = summary.assign(recency=summary["recency"] / 7, T=summary["T"] / 7)
leave_after_purchase = cs.value.BetaGeo().fit(weeks)
leave_any_time = cs.value.ParetoNBD().fit(weeks)
published = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426, "log likelihood": -9582.43}
ours = leave_after_purchase.params_.copy()
ours["log likelihood"] = leave_after_purchase.log_likelihood_
errors = leave_after_purchase.standard_errors_
pd.DataFrame({"published": published, "here": ours, "standard error": errors})

# %% [markdown]
# The numbers of Fader, Hardie and Lee (2005), digit by digit. The last column is less often
# printed: `b` may as well be 1.4 or 4.3. Remember it for the intervals.
#
# The Pareto/NBD model is 12.5 units of log likelihood behind, with as many parameters:

# %%
print(leave_any_time)
print(f"log likelihood {leave_any_time.log_likelihood_:.2f}, published -9594.98")

# %% [markdown]
# ### Exercise 1
#
# Three customers first bought 39 weeks ago and last 15 weeks ago. One came back once, one four
# times, one twelve times. Decide before you compute: who is most likely still active?

# %%
three = pd.DataFrame(
    {"frequency": [1, 4, 12], "recency": 24.0, "T": 39.0},
    index=["once", "four times", "twelve times"],
)
most_likely_active = ...  # your answer: "once", "four times" or "twelve times"
# solution
# hint: a fitted model has probability_alive(three); ask both.
most_likely_active = leave_any_time.probability_alive(three).idxmax()

# %%
cs.notebook.check("08-1", most_likely_active)

# %% tags=["solution"]
pd.DataFrame(
    {
        "active, BG/NBD": leave_after_purchase.probability_alive(three),
        "active, Pareto/NBD": leave_any_time.probability_alive(three),
        "purchases in 39 weeks": leave_any_time.expected_purchases(39, three),
    }
).round(2)

# %% [markdown] tags=["solution"]
# The one who came least. Who bought every other week and then not for fifteen weeks has broken a
# habit; who buys twice a year has not. And yet the one with four repeat purchases will bring most:
# likely to be there, and worth it.

# %%
silence = np.arange(0.0, 39.5, 0.5)
figure, axes = plt.subplots(1, 2, figsize=(8.5, 3.4), sharey=True, layout="constrained")
models = {"BG/NBD": leave_after_purchase, "Pareto/NBD": leave_any_time}
for ax, (name, model) in zip(axes, models.items(), strict=True):
    for times in (0, 1, 4, 12):
        last = 0.0 if times == 0 else 39.0 - silence
        quiet = pd.DataFrame({"frequency": times, "recency": last, "T": 39.0}, index=silence)
        ax.plot(silence, model.probability_alive(quiet), label=times)
    ax.set(title=name, xlabel="weeks since the last purchase", ylim=(0, 1.02))
axes[0].set_ylabel("probability of being active")
axes[1].legend(title="repeat\npurchases", frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
cs.notebook.describe_figure(figure)
plt.show()

# %% [markdown]
# Where a customer has a history, the two agree on its shape: the more often somebody used to come,
# the faster silence speaks. Both lines without a repeat purchase are flat, since without one there
# is nothing to count from. But one lies at 1.00 and the other at .29.
#
# That is no finding about customers. The BG/NBD model *defines* that nobody leaves before the
# second purchase. For three fifths of the shop its P(alive) is an assumption. Keep this in mind.

# %% [markdown]
# ## Were they right?
#
# The other 39 weeks are known as well. So the forecast can be held against them, and against the
# plain one that everybody goes on as before.

# %%
check_bg = cs.value.btyd_holdout(music, cs.value.BetaGeo(), split=today)
check_pareto = cs.value.btyd_holdout(music, cs.value.ParetoNBD(), split=today)
scores = {"BG/NBD": check_bg.scores().loc["expected"]}
scores |= {"Pareto/NBD": check_pareto.scores().loc["expected"]}
scores |= {"as before": check_bg.scores().loc["as_before"]}
actual = check_bg.customers["actual"].sum()
print(f"{actual:,.0f} repeat purchases came")
pd.DataFrame(scores).T

# %%
figure, ax = plt.subplots(figsize=(6.5, 3.8), layout="constrained")
check_pareto.plot(ax=ax)
ax.set_ylabel("mean purchases afterwards")
cs.notebook.describe_figure(figure)
plt.show()

# %%
check_pareto.to_frame().round(2)

# %%
check_pareto.plot(what="tracking")
cs.notebook.describe_figure()
plt.show()

# %% [markdown]
# Both models are 12% short in all. Over time the line of purchases lies a little below the forecast
# when it begins and a little above it at the end. "As before" promises half as much again as came: it takes
# everybody for active for ever, except those who did not come back, of whom it expects nothing. The
# Pareto/NBD model lies within the interval of every row but the first.
#
# As a forecast of single customers no model is more than fair (a correlation of .63): much
# of what somebody does in 39 weeks is chance.

# %% [markdown]
# ### Exercise 2
#
# Three in five had not bought again by the end of September. Which share of all repeat purchases
# after it came from them?

# %%
from_the_silent = ...  # your answer, between 0 and 1
# solution
# hint: check_bg.customers has frequency (at the split) and actual (after it) of each customer.
held_out = check_bg.customers
silent = held_out["frequency"] == 0
from_the_silent = held_out.loc[silent, "actual"].sum() / held_out["actual"].sum()

# %%
cs.notebook.check("08-2", from_the_silent)

# %% tags=["solution"]
pd.DataFrame(
    {
        "customers": silent.groupby(silent).size(),
        "actual": held_out.groupby(silent)["actual"].sum(),
        "expected, BG/NBD": held_out.groupby(silent)["expected"].sum().round(),
        "expected, Pareto/NBD": check_pareto.customers.groupby(silent)["expected"].sum().round(),
        "as before": held_out.groupby(silent)["as_before"].sum().round(),
    }
).rename({False: "bought again", True: "never bought again"})

# %% [markdown] tags=["solution"]
# One purchase in six. Each of the silent is worth little, but they are many. The BG/NBD model gets
# their number right although, or because, it takes all of them for active but slow. The Pareto/NBD
# model takes two thirds of them for gone and misses two fifths of their purchases. The same purchases,
# two stories: a forecast can be right about how many and wrong about who.

# %% [markdown]
# ## What is it worth today?
#
# Purchases are not yet money. The mean of a customer with one repeat purchase says little, so it
# is drawn towards the mean of all, and less so the more purchases there are. The model behind it
# takes how much and how often as unrelated, and says how far that holds.
#
# The check is done, so from here on all of the 78 weeks are used.

# %%
everything = cs.value.btyd_summary(music, unit="W")
purchases = cs.value.ParetoNBD().fit(everything)
spend = cs.value.GammaGamma().fit(everything)
print(spend)
known = pd.DataFrame({"frequency": [0, 1, 3, 10], "monetary_value": [0.0, 100, 100, 100]})
known.assign(expected=spend.expected_spend(known)).round(1)

# %% [markdown]
# Who came back once and spent a hundred dollars is expected to spend 76 the next time. After ten
# times the model believes it.
#
# Then everything is put together: purchases to come, what each brings, and that a dollar in three
# years is not a dollar today. Money costs this shop 15% a year, and 30 cents of a dollar are left.
# Models that count in weeks need the rate *per week*.

# %%
per_week = 1.15 ** (1 / 52) - 1
worth = cs.value.lifetime_value(
    purchases, spend, everything, discount_rate=per_week, horizon=156, margin=0.3
)
print(worth.summary())
worth.to_frame().loc[["0001", "0002", "0003", "0025", "0509"]].round(2)

# %%
worth.plot()
cs.notebook.describe_figure()
plt.show()

# %% [markdown]
# Value lies in the upper left corner, where people came often and lately. Along a row it fades with
# silence, and the faster the higher the row. The last note says what it is not:

# %%
print(worth.notes[-1])

# %% [markdown]
# ### Exercise 3
#
# Three years were enough here. "Lifetime" says more. Without a horizon, which share of the value
# of all customers lies after those three years?

# %%
after_three_years = ...  # your answer, between 0 and 1
# solution
# hint: the same call with horizon=None gives the value without an end.
without_end = cs.value.lifetime_value(
    purchases, spend, everything, discount_rate=per_week, margin=0.3
)
total = without_end.to_frame()["value"].sum()
after_three_years = 1 - worth.to_frame()["value"].sum() / total

# %%
cs.notebook.check("08-3", after_three_years)

# %% tags=["solution"]
totals = {}
for years in (1, 3, 10):
    span = "1 year" if years == 1 else f"{years} years"
    for rate in (0.0, 0.15):
        weekly = (1 + rate) ** (1 / 52) - 1
        value = cs.value.lifetime_value(
            purchases, spend, everything, discount_rate=weekly, horizon=52 * years, margin=0.3
        )
        totals[span, f"{rate:.0%} a year"] = value.to_frame()["value"].sum()
pd.Series(totals).unstack(sort=False).round(-2).astype(int)

# %% [markdown] tags=["solution"]
# Two fifths of it, from data that reach back a year and a half. The models make that possible
# because they assume that what was, remains, for ever. A horizon as long as one would bet on the
# shop itself is the more honest number.

# %% [markdown]
# ## How sure is the value of a segment?
#
# A marketer does not talk to single customers but to segments. Segments made of frequency would
# differ in value by construction. So take something that is known on the first day: how much the
# first purchase was.

# %%
by_day = lines.groupby(["sample_id", "date"])["dollar_value"].sum()
first = by_day.groupby("sample_id").first().rename_axis("customer_id")
start = pd.qcut(first, 3, labels=["small start", "middle start", "large start"])
value_of_starts = cs.value.segment_value(worth, start, n_resamples=100)
by_start = value_of_starts.to_frame().set_index("segment")
ends = by_start[["share_of_value_ci_low", "share_of_value_ci_high"]]
value_of_starts.plot()
cs.notebook.describe_figure()
plt.show()

# %%
by_start[["n", "share", "mean", "share_of_value"]].join(
    ends.set_axis(["low", "high"], axis=1)
).round(2)

# %% [markdown]
# A third of the customers, those who started with a large basket, hold half of the value. Nothing
# but the first day was needed for that.
#
# Where does the doubt come from? From chance among customers, and from the parameters: all values
# hang on the same seven numbers. For the interval the models were fitted again to every sample.
# Leave that away, and take the values as known:

# %%
as_known = cs.value.segment_value(worth.to_frame()["value"], start, n_resamples=100)
widths = {}
for name, found in {"fitted again": value_of_starts, "taken as known": as_known}.items():
    table = found.to_frame().set_index("segment").loc["(all)"]
    widths[name] = table[["total_ci_low", "total", "total_ci_high"]]
    widths[name]["half width"] = (table["total_ci_high"] - table["total_ci_low"]) / 2
pd.DataFrame(widths).T.round(-2).astype(int)

# %% [markdown]
# The second interval looks better and is wrong: it holds the true value far less often than 95
# times in 100. If the accounts need one number for what this customer base is worth, this is the
# one to tell with its interval.
#
# ### In how few hands?

# %%
figure, ax = plt.subplots(figsize=(5.5, 4), layout="constrained")
value_of_starts.plot(what="concentration", ax=ax)
cs.notebook.describe_figure(figure)
plt.show()

# %%
value_of_starts.concentration.round(2)

# %% [markdown]
# The best fifth hold four fifths of what is to come. Shares are much firmer than totals: if the
# parameters are a little off, everybody's value moves together. These are *expected* values. The
# money will end up in fewer hands, because luck is not shared out evenly.

# %% [markdown]
# ## A shop whose truth is known
#
# P(alive) cannot be checked at CDNOW, since nobody knows who left. The simulated shop knows the
# day on which each customer left. No model gets to see it.

# %%
shop = cs.datasets.load_shop()
names = ["customer_id", "timestamp", "order_id", "line_id", "product", "category"]
order_roles = {name: name for name in [*names, "quantity", "amount"]}
orders = cs.Transactions(shop.transactions, **order_roles).clean()
histories = cs.value.btyd_summary(orders, as_of="2024-12-31", unit="W")
truth = shop.truth.set_index("customer_id").loc[histories.index]
active = truth["dropout"].isna()
shop_models = {
    "BG/NBD": cs.value.BetaGeo().fit(histories),
    "modified BG/NBD": cs.value.ModifiedBetaGeo().fit(histories),
    "Pareto/NBD": cs.value.ParetoNBD().fit(histories),
}
alive = pd.DataFrame({name: m.probability_alive(histories) for name, m in shop_models.items()})
print(f"active in truth: {active.mean():.0%}")
alive.mean().round(2)

# %%
bands = pd.cut(histories["frequency"], [-1, 0, 2, 4, 8, 16, 99])
bands = bands.cat.rename_categories(["0", "1-2", "3-4", "5-8", "9-16", "17+"])
shown = alive.assign(truth=active).groupby(bands, observed=True).mean()
figure, ax = plt.subplots(figsize=(6.5, 3.8), layout="constrained")
for name in alive:
    ax.plot(shown.index.astype(str), shown[name], "o--", label=name)
ax.plot(shown.index.astype(str), shown["truth"], "s-", color="0.2", label="truth")
ax.set(xlabel="repeat purchases", ylabel="active customers", ylim=(0, 1.05))
ax.legend(frameon=False)
cs.notebook.describe_figure()
plt.show()

# %% [markdown]
# Here is what 1.00 was worth. Of those who never bought again, 37% are active. The BG/NBD model
# says all, the modified one (which lets them leave after the first purchase, too) 36%, Pareto/NBD
# 42%. From three repeat purchases on all agree, and lie within five points of the truth.
#
# So at CDNOW do not write "these 1,411 are active" into a report on the word of that model. From
# here on we use the modified one. Is it right where it is sure and where it is not?

# %%
bins = pd.cut(alive["modified BG/NBD"], [0, 0.1, 0.3, 0.5, 0.7, 0.9, 1])
calibration = pd.DataFrame({"said": alive["modified BG/NBD"], "true": active})
calibration.groupby(bins, observed=True).agg(
    customers=("said", "size"), said=("said", "mean"), true=("true", "mean")
).round(2)

# %% [markdown]
# Of those to whom it gives 5%, 4% are active; of those to whom it gives 95%, 97%. In between it is
# five to nine points too hopeful.
#
# ### Value at stake
#
# Who may be gone takes value with him. The difference between the value if somebody were certainly
# active and the expected one is called the value at stake. Whoever has most at stake seems to be
# the one to call.

# %%
shop_spend = cs.value.GammaGamma().fit(histories)
shop_worth = cs.value.lifetime_value(
    shop_models["modified BG/NBD"],
    shop_spend,
    histories,
    discount_rate=1.1 ** (1 / 52) - 1,
    horizon=104,
    margin=0.3,
)
print(shop_worth.summary())
shop_values = shop_worth.to_frame()
at_stake = shop_values["value_if_alive"] - shop_values["value"]

# %% [markdown]
# ### Exercise 4
#
# There is time for 200 calls. Take the 200 customers with most at stake. Which share of them has
# left for good, in truth? Guess first.

# %%
already_gone = ...  # your answer, between 0 and 1
# solution
# hint: nlargest(200) of at_stake, and active says who is still there.
to_call = at_stake.nlargest(200).index
already_gone = 1 - active[to_call].mean()

# %%
cs.notebook.check("08-4", already_gone)

# %% tags=["solution"]
doubtful = at_stake[alive["modified BG/NBD"].between(0.4, 0.8)].nlargest(200).index
best = shop_values["value"].nlargest(200).index
lists = {"most at stake": to_call, "in doubt, most at stake": doubtful, "best": best}
pd.DataFrame(
    {
        name: {
            "mean P(alive)": shop_values.loc[who, "probability_alive"].mean(),
            "gone": 1 - active[who].mean(),
            "value if active": shop_values.loc[who, "value_if_alive"].mean(),
        }
        for name, who in lists.items()
    }
).round(2)

# %% [markdown] tags=["solution"]
# Nearly all. Value at stake is what could be had if everybody came back: a ceiling, not a target.
# P(alive) said so, its mean among the 200 is .14. The best hardly need a call. Those in doubt are
# partly there and have something to lose. Of them, too, more have left than the model says (56% for
# 43%): who picks the highest numbers picks the errors of a model as well. Whether a call keeps
# anybody is a question for an experiment.

# %% [markdown]
# ## Who stays?
#
# Models aside, retention can be counted. A cohort is everybody whose first purchase fell into the
# same quarter.

# %%
cohorts = cs.value.retention(orders, period="Q", as_of="2024-12-31")
cohorts.plot()
cs.notebook.describe_figure()
plt.show()

# %%
print(cohorts.notes[0])

# %% [markdown]
# Read down a column to compare cohorts at equal age, and along a diagonal to see a season: after
# the fourth quarter of 2023 every row drops by about ten points (.62 to .52, .61 to .49, .63 to
# .51). That is Christmas, not disloyalty. And the first row is no cohort of new customers, as the
# note says.
#
# To count survivors one has to say when somebody has left: here, after half a year without a
# purchase. Do customers from some channels stay longer? And those of the six planted segments?

# %%
left = cs.value.churn_by_silence(orders, 180, as_of="2024-12-31")
people = shop.customers.set_index("customer_id")
channel = people["acquisition_channel"].reindex(left.index)
segment = truth["segment"]
by_channel = cs.value.survival(left, channel, horizons=[365])
by_segment = cs.value.survival(left, segment, horizons=[365])
print(by_channel.summary())
print(by_segment.summary())

# %%
figure, ax = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
by_segment.plot(ax=ax)
ax.set_xlabel("days since the first purchase")
cs.notebook.describe_figure(figure)
plt.show()

# %% [markdown]
# The channels differ by no more than chance may make them (p = .21): no reason to pay more for
# customers from one of them. The segments fall apart into two bundles.
#
# But what is it that differs? Nobody can leave before day 180, by definition, and somebody who
# buys twice a year is "gone" every few months:

# %%
pd.DataFrame(
    {
        "gone by silence": left["churned"].groupby(segment).mean(),
        "of these, came back": left.loc[left["churned"], "came_back"].groupby(segment).mean(),
        "left in truth": 1 - active.groupby(segment).mean(),
        "orders a year, planted": truth.groupby("segment")["purchase_rate"].mean(),
    }
).round(2)

# %% [markdown]
# Of those "gone" a quarter to a half came back. Gift Givers and Deal Hunters leave equally often in truth; the former
# just buy less often. A fixed silence sorts by rhythm. That is what P(alive) is better at: it asks
# whether the silence is long *for this customer*.

# %% [markdown]
# ## One model for everybody?
#
# At CDNOW the forecast was 12% short. How does the shop do? It depends on the day on which one
# asks.

# %%
asked = {}
for split in ("2023-12-31", "2024-06-30", "2024-09-30"):
    held = cs.value.btyd_holdout(
        orders, cs.value.ModifiedBetaGeo(), split=split, as_of="2024-12-31", unit="W"
    )
    totals_of_split = held.scores()["total"]
    asked[split] = {
        "weeks held out": held.units,
        "came": held.customers["actual"].sum(),
        "expected": totals_of_split["expected"],
        "as before": totals_of_split["as_before"],
        "error of the model": held.scores().loc["expected", "error"],
    }
pd.DataFrame(asked).T.rename_axis("learned until").round(2)

# %% [markdown]
# 28% too many, 5% too many, 14% too few. The model has no seasons. A year that ends with Christmas
# looks like a year in which hardly anybody leaves; three months that *are* Christmas bring more
# than the rates say. One check on one day would have praised or damned it by luck.
#
# And the forecast behind the values, learned until the end of 2024? The planted rates say in how
# many weeks of 2025 each customer is expected to order. (In weeks, for that is what the model counts:
# two orders in one week are one purchase.)

# %%
year = (1 - np.exp(-truth["dropout_rate"])) / truth["dropout_rate"]
weeks_a_year = 52 * (1 - np.exp(-truth["purchase_rate"] / 52))
planted_2025 = active * weeks_a_year * year
expected_2025 = shop_models["modified BG/NBD"].expected_purchases(52, histories)
both = pd.DataFrame({"planted": planted_2025, "one model for all": expected_2025})
in_segments = both.groupby(segment).sum()
in_segments.assign(ratio=in_segments["one model for all"] / in_segments["planted"]).round(2)

# %%
print(f"all: planted {planted_2025.sum():,.0f}, expected {expected_2025.sum():,.0f}")

# %% [markdown]
# In all it promises a tenth too much: this forecast starts at Christmas, too. By segment it is half
# too much and more for Gift Givers and Online Browsers, and too little for Loyal Regulars. The model
# draws every customer towards the mean of *all*, since it does not know that there are kinds of
# customers. Now look at the intervals of the value by segment:

# %%
value_of_segments = cs.value.segment_value(shop_worth, segment, n_resamples=100)
value_of_segments.plot()
cs.notebook.describe_figure()
plt.show()

# %%
value_of_segments.to_frame()[
    ["segment", "n", "mean", "mean_ci_low", "mean_ci_high", "at_stake"]
].round()

# %% [markdown]
# Narrow, and narrowly around a number that leans to the middle. An interval holds the doubt that
# it was told of: chance and parameters. It does not hold the doubt about the model.

# %% [markdown]
# ### Exercise 5
#
# If segments are known, each can have a model of its own. Fit a `ModifiedBetaGeo` to each segment
# alone. How many purchases does it expect in the next 52 weeks from each?

# %%
by_own_model = ...  # your answer: a Series or dictionary from segment to purchases
# solution
# hint: for name, own in histories.groupby(segment): fit to own, expected_purchases(52, own), sum.
by_own_model = {
    name: cs.value.ModifiedBetaGeo().fit(own).expected_purchases(52, own).sum()
    for name, own in histories.groupby(segment)
}

# %%
cs.notebook.check("08-5", by_own_model)

# %% tags=["solution"]
compared = in_segments.assign(**{"one model each": pd.Series(by_own_model)})
compared.div(compared["planted"], axis=0).drop(columns="planted").round(2)

# %% [markdown] tags=["solution"]
# From .91 to 1.66 times the truth with one model for all, from .99 to 1.20 with one each. What was
# far off comes close; Deal Hunters and Trend Seekers, who happened to be near the mean, lose a
# little. Christmas stays, and no segment mends that. What segments add to a forecast is this: they
# tell the model towards whom to draw. It works because these segments are real, and not cut from
# the purchases that the model has seen already.

# %% [markdown]
# ## From value to action
#
# Value says where to look. What to offer is another question: what does each segment buy more than
# others do?

# %%
demand = cs.value.segment_demand(orders, segment, as_of="2024-12-31")
demand.plot()
cs.notebook.describe_figure()
plt.show()

# %%
demand.top(2)[["segment", "item", "share", "lift", "lift_low", "lift_high"]].round(2)

# %% [markdown]
# Loyal Regulars garden and read, Deal Hunters want electronics. Gift Givers and Online Browsers are
# not in the list: they buy so seldom that in no category more of them have bought than of others.
#
# And how should a budget of 5,000 be split? That hangs on how each segment responds, and nobody
# has tried. So suppose: at most a fifth of the value at stake can be won back, 5 per customer go
# most of the way, and either may be off by half.

# %%
stakes = value_of_segments.to_frame().set_index("segment").iloc[1:]
guess = pd.DataFrame({"size": 0.2 * stakes["at_stake"], "scale": 5.0 * stakes["n"]})
guess = guess.assign(size_se=0.5 * guess["size"], scale_se=0.5 * guess["scale"])
plan = cs.value.allocate_budget(guess, 5_000, sizes=stakes["n"])
plan.plot()
cs.notebook.describe_figure()
plt.show()

# %%
plan.to_frame()[["segment", "best", "best_low", "best_high", "equal", "proportional"]].round()

# %%
plan.splits[["response", "gain", "gain_low", "gain_high", "p_better"]].round(2)

# %% [markdown]
# The best split brings some 4% more than an equal one, and with odds of three to two it brings
# more at all. From guesses follows hardly any plan. The calculation is worth most as a list of
# what to find out: a campaign with a control group in each segment would replace the guesses.

# %% [markdown]
# ## Key points
#
# - Silence speaks louder about those who used to come often. P(alive) reads it for each customer.
# - For those who never came back, P(alive) is mostly the model's assumption. The models agree on
#   how many purchases come and disagree on who is there.
# - A model has to beat "as before" in a period that it has not seen, on more than one day: it knows
#   no seasons.
# - A lifetime value needs a rate per unit of time, a horizon and a margin, and the horizon may matter most.
# - Intervals of value need the models fitted again. They never hold the doubt about the model
#   itself.
# - Value at stake is a ceiling. Most of it belongs to people who are gone.
#
# ## Decision
#
# The board wants one number for what the customers are worth, and one for how much of it a campaign
# can save. Which of the two would you give, with which interval, and what would you ask for
# before giving the other?

# %% tags=["nbval-ignore-output"]
cs.notebook.session_info()
