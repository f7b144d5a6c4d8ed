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
import matplotlib.pyplot as plt
import seaborn as sns

import custseg as cs
from custseg.plots.features import rfm_cells

cs.notebook.setup()

# %% [markdown]
# Four exercises stand in this notebook. An answer is checked on the spot, and a wrong one gets a
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

# %%
audit.plot()
cs.notebook.describe_figure()
plt.show()

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
# Four columns and three shapes. Recency, frequency and money have a long tail to the right: most
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
# ## Key points
#
# - The audit found every planted fault. What to do about a fault is a decision, and it is recorded.
# - Orders and money say nearly the same; counted side by side they count twice.
#
# ## Decision
#
# Which five columns would you take into a segmentation whose goal is better service, and which
# would you leave out although they are at hand?

# %% tags=["nbval-ignore-output"]
cs.notebook.session_info()
