# %% [markdown]
# # Know your customers
#
# **Question.** What does this shop know of each customer, and which of it can be trusted?
#
# **Objectives.**
#
# - Find what is wrong with raw rows before anything is counted, and decide what to do about it.
# - Turn orders, contacts and answers into one row per customer.
# - See the shape of what is known: one column at a time, then several together.
# - Keep a dictionary, so that every column can be explained a year from now.
#
# **Minutes.** 30
#
# **Prerequisites.** The notebook "From raw records to a decision".
#
# **Data.** The simulated retailer that comes with custseg, first with faults planted in its rows, then without.

# %%
from io import StringIO

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns

import custseg as cs
from custseg.plots.features import rfm_cells

cs.notebook.setup()

# %% [markdown]
# Five exercises stand in this notebook. An answer is checked on the spot, and a wrong one gets a
# hint. The version without solutions is in the folder `exercises`.

# %% [markdown]
# ## Can the rows be trusted?
#
# Nobody hands over clean rows. In this copy of the shop faults were planted, and we know which,
# so that the audit can be audited.

# %%
spoiled = cs.datasets.make_shop(defects=True)
order_roles = {
    "customer_id": "customer_id",
    "timestamp": "timestamp",
    "order_id": "order_id",
    "line_id": "line_id",
    "product": "product",
    "category": "category",
    "channel": "channel",
    "quantity": "quantity",
    "amount": "amount",
    "discount": "discount",
}
spoiled_orders = cs.Transactions(spoiled.transactions, **order_roles)
audit = spoiled_orders.audit()
audit

# %% [markdown]
# Read the column of actions. Some rows would be set aside by default: without a customer, dated
# in the future, returns. Others are marked and stay, because only somebody who knows the shop can
# decide. Two equal lines may be two sales. Here they share a number, so they are one line that was
# written twice. A category in two spellings becomes two categories in every count.
#
# Answers to a survey and attributes of customers are examined in the same way.

# %%
statements = ["price_consciousness", "service_orientation", "shopping_enjoyment"]
scales = {name: [f"{name}_{number}" for number in range(1, 5)] for name in statements}
items = [item for scale in scales.values() for item in scale]
benefits = [column for column in spoiled.survey if column.startswith("benefit_")]
survey_roles = {"customer_id": "customer_id", "timestamp": "responded", "nps": "nps"}
survey_roles |= {"duration": "duration_seconds", "csat": "csat", "ces": "ces"}
spoiled_answers = cs.Survey(spoiled.survey, items=items, **survey_roles).audit()
print(*spoiled_answers.notes, sep="\n")

# %%
people_roles = {"customer_id": "customer_id", "age": "age", "sign_up": "sign_up"}
people_roles |= {"region": "region", "income": "income_band"}
labels = ["gender", "household", "acquisition_channel"]
spoiled_people = cs.Customers(spoiled.customers, categories=labels, **people_roles).audit()
print(*spoiled_people.notes, sep="\n")

# %% [markdown]
# Thirty people gave one answer to twelve statements, three of which say the opposite of the
# others. Nobody can agree with a statement and its opposite: these thirty did not read.
#
# Was everything found? This is the list of what was planted.

# %%
spoiled.planted_defects[["table", "defect", "rows"]]

# %% [markdown]
# All seven, each with its exact number of rows. The returns without an order are those that match
# no purchase of the same customer and product. The 6,651 other returns are no fault: this shop
# takes goods back.

# %% [markdown]
# ### Exercise 1
#
# The head of finance asks for other rules. A return should lower what its customer spent, not
# vanish. A line that was written twice counts once. A category has one spelling. How many order
# lines are used then?

# %%
rows_used = ...  # your answer, a whole number
# solution
# hint: clean() has a policy for each of the three; its result carries an account.
finance = spoiled_orders.clean(returns="net", duplicates="drop", inconsistent_labels="unify")
rows_used = finance.account.rows_used

# %%
cs.notebook.check("03-1", rows_used)

# %% tags=["solution"]
print(finance.account.summary())

# %% [markdown] tags=["solution"]
# 92,788. The returns that match a purchase stay, on their own date, and take money off. Those
# that match none are set aside, for there is nothing to take them from.

# %% [markdown]
# ## What do orders tell?
#
# From here on we work with the shop as it should have been delivered. We look from the last day
# of 2024, and no later row counts.

# %%
shop = cs.datasets.load_shop()
orders = cs.Transactions(shop.transactions, **order_roles).clean()
print(orders.account.summary())
day = "2024-12-31"
customers = cs.features.rfm(orders, as_of=day)
customers.describe(percentiles=[0.1, 0.5, 0.9]).round(1)

# %%
figure, axes = plt.subplots(1, 4, figsize=(10, 3), layout="constrained")
for ax, column in zip(axes, customers, strict=True):
    sns.histplot(x=customers[column], bins=30, ax=ax)
    ax.set_ylabel("customers" if ax is axes[0] else "")
cs.notebook.describe_figure(figure)
plt.show()

# %% [markdown]
# Four columns and two shapes. Recency, frequency and money have a long tail to the right: most
# customers are small and recent, and a few are far out. Tenure leans to the other side and stops
# dead at two years, because the records start there. It says when we began to look, not when
# customers came.
#
# One column at a time hides how they go together.

# %%
grid = sns.jointplot(
    x=customers["recency"] + 1,
    y=customers["monetary"],
    kind="hist",
    log_scale=True,
    height=5,
    bins=(12, 30),
    cbar=False,
)
grid.set_axis_labels("days since the last order + 1", "money spent")
cs.notebook.describe_figure(grid.figure)
plt.show()

# %% [markdown]
# One band falls from the upper left to the lower right: the longer the silence, the less was spent
# in all. It is darkest on the right because there the logarithm squeezes many days together. No
# valley parts it, only its edges thin out.

# %%
customers.corr(method="spearman").round(2)

# %% [markdown]
# Orders and money are nearly one column (.91): in this shop customers differ in how often they
# buy far more than in how much they put into a basket. Two columns that say the same thing count
# twice in every distance. Keep that in mind for the segments.

# %% [markdown]
# ### Scores and named cells
#
# A customary shorthand cuts recency, frequency and money into fifths, and names the eleven cells
# of the first two. Equal customers get equal scores, so a fifth is not always a fifth.

# %%
scores = cs.features.rfm_scores(customers)
scores["cell"].value_counts(sort=False)

# %%
rfm_cells(scores, customers)
cs.notebook.describe_figure()
plt.show()

# %% [markdown]
# The grid is fuller along its diagonal, as the correlation said it would be. The names are
# convenient, and they are only names: after seventeen days of silence a frequent customer is a
# champion, after eighteen a loyal customer.

# %% [markdown]
# ### Exercise 2
#
# One customer in seven is a champion. Which share of all the money comes from champions?

# %%
share_of_champions = ...  # your answer, between 0 and 1
# solution
# hint: group the column monetary by the column cell, and divide by its sum.
money = customers["monetary"].groupby(scores["cell"], observed=True).sum()
share_of_champions = money["champions"] / money.sum()

# %%
cs.notebook.check("03-2", share_of_champions)

# %% tags=["solution"]
(money / money.sum()).round(3)

# %% [markdown] tags=["solution"]
# A third, and the loyal customers bring another third. "At risk" holds a tenth of the money: good
# customers of the past who have not been seen for most of a year.

# %% [markdown]
# ## How do they buy?
#
# Recency, frequency and money leave most of an order book unread. The same lines tell how regular
# somebody is, how broad, how fond of discounts, and where they shop.

# %%
habits = cs.features.purchase_features(orders, as_of=day)
dictionary = cs.features.describe_columns(habits)
print(f"{len(dictionary)} columns on {len(habits):,} customers")

# %%
chosen = [
    "days_to_second",
    "regularity",
    "basket_value_mean",
    "category_entropy",
    "discount_share",
    "channel_share_store",
]
dictionary.set_index("column").loc[chosen, ["kind", "definition"]]

# %%
figure, axes = plt.subplots(2, 3, figsize=(8, 4.5), layout="constrained")
for ax, column in zip(axes.flat, chosen, strict=True):
    sns.histplot(x=habits[column], bins=30, ax=ax)
    ax.set_ylabel("customers" if ax in axes[:, 0] else "")
cs.notebook.describe_figure(figure)
plt.show()

# %% [markdown]
# Each shape asks for another treatment. Days to the second order have a tail and want a
# logarithm. Values of baskets lean the same way, but less. Shares are spiky: somebody with two
# lines has a discount on none, one or both, and nothing between. The share of the store piles up
# at both ends: many shop only there, or never.
#
# What of the customers with one order? They have no days to the second order. Missing is right;
# a zero would say that they came back on the same day.

# %%
one_order = (habits["frequency"] == 1).rename("one order")
habits["days_to_second"].isna().groupby(one_order).agg(customers="size", missing="sum")

# %% [markdown]
# ### A measure that depends on how much is known
#
# Regularity compares the spread of the days between purchases with their mean. It is 1 for
# somebody who comes like clockwork, and about one half for somebody who comes at random moments.

# %%
orders_bands = pd.cut(habits["frequency"], [2, 4, 8, 16, 99], labels=["3-4", "5-8", "9-16", "17+"])
habits["regularity"].groupby(orders_bands, observed=True).agg(["size", "mean", "std"]).round(2)

# %% [markdown]
# Do customers with three orders keep a stricter rhythm than those with twenty? No: two gaps are
# too few to show a spread, so the measure starts high, scatters, and settles at .51, where chance
# alone would put it. A segmentation on this column would sort customers by how little is known of
# them.

# %% [markdown]
# ### Several columns together

# %%
together = habits[["frequency", "monetary", *chosen]].corr(method="spearman")
figure, ax = plt.subplots(figsize=(7, 3.5))
sns.heatmap(together, vmin=-1, vmax=1, cmap="vlag", annot=True, fmt=".1f", cbar=False, ax=ax)
ax.grid(visible=False)
cs.notebook.describe_figure(figure)
plt.show()

# %% [markdown]
# Discounts and the store go with nothing else here: they are new information. The breadth of
# categories goes with frequency, and much of that is arithmetic: one order can hardly span eight
# categories.

# %% [markdown]
# ### Exercise 3
#
# Sort customers by their home: the channel that took more than half of their orders. Who has no
# such channel belongs to a group of their own. Call the four groups what you like.

# %%
home = ...  # your answer: a Series with one label per customer
# solution
# hint: idxmax(axis=1) finds the leading channel, and where() keeps it if its share is over 0.5.
by_channel = habits[["channel_share_app", "channel_share_store", "channel_share_web"]]
home = by_channel.idxmax(axis=1).where(by_channel.max(axis=1) > 0.5, "mixed")

# %%
cs.notebook.check("03-3", home)

# %% tags=["solution"]
customers.groupby(home)["monetary"].agg(["size", "median"])

# %% [markdown] tags=["solution"]
# Two in five customers are at home in the store. Those at home in the app are half as many, and
# the median of them spends twice as much as on the web.

# %% [markdown]
# ## How do they meet the shop?
#
# Orders are the end of a story. Contacts tell the rest: what was opened, visited, returned,
# complained about. The map shows what follows what.

# %%
contacts = cs.Touchpoints(
    shop.touchpoints,
    customer_id="customer_id",
    timestamp="timestamp",
    channel="channel",
    touchpoint="touchpoint",
    stage="stage",
).clean()
journeys = cs.features.journey_map(contacts, as_of=day)
print(journeys.summary())

# %%
journeys.plot()
cs.notebook.describe_figure()
plt.show()

# %%
journeys.pain_points.loc[
    journeys.pain_points["flagged"],
    ["from", "to", "n", "probability", "ci_low", "ci_high", "reference_probability"],
]

# %% [markdown]
# Three places hurt. After one purchase in eight the next contact is a return or a call for help,
# which the shop files as service: nearly three times as often as after contacts in general. Of the
# contacts that make aware 3.5% are the last of their journey, more than twice the usual. And after
# a review one contact in ten is of that kind too; it rests on 340 moves, and its interval says so.
#
# The map is about moves. A customer table needs columns about customers:

# %%
meetings = cs.features.journey_features(contacts, as_of=day, windows=(90,))
meetings["furthest_stage"].value_counts(sort=False)

# %% [markdown]
# ## What do they say?
#
# Two customers in five answered a survey: twelve statements on three attitudes, importance of six
# benefits, and satisfaction. Do the statements of an attitude belong together?

# %%
answers = cs.Survey(shop.survey, items=[*items, *benefits], **survey_roles).clean()
print(cs.features.scale_reliability(answers, scales=scales).summary())

# %% [markdown]
# An alpha of .2 says no. But before a scale is thrown away, look at its items: one of each four
# says the opposite. (The result's notes name them.) Turned round, they fit.

# %%
opposite = [f"{name}_4" for name in statements]
print(cs.features.scale_reliability(answers, scales=scales, reverse=opposite).summary())

# %%
attitudes = cs.features.survey_features(
    answers, as_of=day, scales=scales, reverse=opposite, importance=benefits
)
attitudes.describe(percentiles=[0.1, 0.5, 0.9]).T.round(2)

# %% [markdown]
# ### Exercise 4
#
# The net promoter score is the percentage who answer 9 or 10 less the percentage who answer 0 to
# 6. What is it among customers won through each acquisition channel?

# %%
said = shop.survey.merge(shop.customers, on="customer_id")
score_by_channel = ...  # your answer: a Series or dictionary from channel to score
# solution
# hint: cs.stats.nps(...) takes the answers of one group; its result has an estimate.
by_channel = said.groupby("acquisition_channel")["nps"]
scores_by_channel = {channel: cs.stats.nps(answer) for channel, answer in by_channel}
score_by_channel = {channel: score.estimate for channel, score in scores_by_channel.items()}

# %%
cs.notebook.check("03-4", score_by_channel)

# %% tags=["solution"]
pd.DataFrame(scores_by_channel.values(), index=scores_by_channel).round(1)

# %% [markdown] tags=["solution"]
# From 14 to 26. It looks like a ranking of channels, and these answers do not support one: each
# interval overlaps every other.

# %% [markdown]
# ## One table
#
# Orders, contacts, answers and attributes, side by side. Who is not in a source has missing
# values there, never zeros.

# %%
people = cs.Customers(shop.customers, categories=labels, **people_roles).clean(as_of=day)
table = cs.features.build_customer_table(
    as_of=day,
    customers=people,
    transactions=habits,
    touchpoints=meetings,
    survey=attitudes,
)
cs.features.describe_sources(table).drop(columns=["columns"])

# %% [markdown]
# Everybody who bought, was met or answered is in the list of customers, and three of that list are
# nowhere else. 234 customers bought nothing in these two years. Three in five never answered: a
# segmentation on attitudes describes them only if those who answer are like those who do not.

# %%
dictionary = cs.features.describe_columns(table)
dictionary.groupby(["family", "kind"]).size().unstack(fill_value=0)

# %% [markdown]
# 43 counts of contacts against three attitudes: distances over all columns would be distances
# between journeys. This is why `Encoder` can give every family the same weight, however many
# columns it has.
#
# Does what people say go with what they do? Now that it stands side by side, we can look.

# %%
done = ["frequency", "discount_share", "channel_share_store"]
across = table[[*statements, *done]].corr(method="spearman").loc[statements, done]
figure, ax = plt.subplots(figsize=(6, 3))
sns.heatmap(across, vmin=-1, vmax=1, cmap="vlag", annot=True, fmt=".2f", ax=ax)
ax.grid(visible=False)
cs.notebook.describe_figure(figure)
plt.show()

# %% [markdown]
# It does. Who says that price matters buys more at a discount (.45), who wants service goes to the
# store (.53), who enjoys shopping orders more often (.36). A questionnaire and an order book come
# from different hands. That they agree is the best sign that both measure something.

# %% [markdown]
# ### Exercise 5
#
# How many customers are known from orders, contacts and the survey?

# %%
known_from_all = ...  # your answer, a whole number
# solution
# hint: take one column of each source that is never missing within it, and count complete rows.
one_each = table[["frequency", "stages_reached", "price_consciousness"]]
known_from_all = int(one_each.notna().all(axis=1).sum())

# %%
cs.notebook.check("03-5", known_from_all)

# %% tags=["solution"]
print(f"{known_from_all:,} of {len(table):,}")

# %% [markdown]
# ### The dictionary outlives the table
#
# A CSV file keeps numbers and forgets what they mean.

# %%
returned = pd.read_csv(StringIO(table.to_csv()), index_col="customer_id")
guessed = cs.features.describe_columns(returned)
wrong = (guessed["kind"] != dictionary["kind"]).sum()
print(
    f"{wrong} of {len(guessed)} kinds guessed wrongly, {guessed['family'].count()} families known"
)

# %% [markdown]
# So the dictionary is stored beside the table, and handed back with it.

# %%
again = cs.features.describe_columns(returned, dictionary=dictionary, as_of=day)
again.drop(columns="as_of").equals(dictionary.drop(columns="as_of"))

# %% [markdown]
# ## Key points
#
# - The audit found every planted fault. What to do about a fault is a decision, and it is recorded.
# - Orders and money say nearly the same, and counted side by side they count twice.
# - A measure from three orders is not the same as from thirty, even under the same name.
# - Missing is not zero. Who is not in a source stays missing there.
# - Attitudes and behaviour agree in this shop, and neither replaces the other.
# - The dictionary is stored with the table. Nothing else knows what its numbers are.
#
# ## Decision
#
# Which five columns would you take into a segmentation whose goal is better service, and which
# would you leave out although they are at hand?

# %% tags=["nbval-ignore-output"]
cs.notebook.session_info()
