# %% [markdown]
# # What to test, on whom, with how many?
#
# **Question.** Which customers get which offer, and can a test of this size tell whether it worked?
#
# **Objectives.**
#
# - Turn segments into a plan of actions that accounts for every customer.
# - Read from the shop's own history what size of effect a campaign can find, in all and by segment.
# - Measure what covariates and strata save, instead of hoping for it.
# - Assign arms so that anybody can check it, and try the test on campaigns that never were.
#
# **Minutes.** 45
#
# **Prerequisites.** The notebook "From raw records to a decision".
#
# **Data.** The simulated retailer that comes with custseg, up to the last day of 2024.

# %%
from dataclasses import replace
from hashlib import sha256

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import custseg as cs

cs.notebook.setup()

# %% [markdown]
# Five exercises stand in this notebook. An answer is checked on the spot, and a wrong one gets a
# hint. The version without solutions is in the folder `exercises`.

# %% [markdown]
# ## What is known on a day
#
# It is New Year's Eve, and the shop plans its first campaign of the year. We shall need the same
# table twice, for today and for a day in autumn, so the day is a parameter.

# %%
shop = cs.datasets.load_shop()
order_roles = ["customer_id", "timestamp", "order_id", "channel", "amount"]
orders = cs.Transactions(shop.transactions, **{name: name for name in order_roles}).clean()
contact_roles = ["customer_id", "timestamp", "channel", "touchpoint"]
contacts = cs.Touchpoints(shop.touchpoints, **{name: name for name in contact_roles}).clean()
people = shop.customers.set_index("customer_id")
print(orders.account.summary())


# %%
def known_on(day):
    bought = cs.features.purchase_features(orders, as_of=day, windows=(28, 91, 365))
    met = cs.features.journey_features(contacts, as_of=day, windows=(28, 90))
    table = people[people["sign_up"] <= day].join(bought).join(met)
    table["opened_28d"] = table["touchpoint_email_opened_count_28d"].fillna(0)
    table["reads_email"] = table["touchpoint_email_opened_count_90d"] > 0
    table["complains"] = table["touchpoint_support_ticket_count_28d"] > 0
    home = table[["channel_share_app", "channel_share_web", "channel_share_store"]].dropna()
    table["way"] = home.set_axis(["app", "email", "letter"], axis=1).idxmax(axis=1)
    return table


# %% [markdown]
# `way` is how a customer is best reached: who buys in the app by the app, who buys on the web by
# e-mail, who buys in the store by letter. The other three are about manners: how many of our e-mails
# somebody opened in four weeks, whether any in ninety days, and whether they have called for help.
# A real shop has a list of who consents to e-mails; here it is those who open them.
#
# The segments are those of the first notebook: recency, frequency and money, cut in four.

# %%
today = known_on("2024-12-31")
buyers = today.dropna(subset=["frequency"])
variables = ["recency", "frequency", "monetary"]
model = cs.SegmentationModel(
    n_segments=4, variables=variables, order_by="monetary", random_state=0
).fit(buyers)
names = {"A": "Regulars", "B": "Lapsed", "C": "Occasional", "D": "One-offs"}
model = model.rename(names)
buyers.groupby(model.segments_, observed=True)[variables].median().assign(
    customers=model.sizes_["n"]
)

# %% [markdown]
# ## From segments to a plan
#
# A segment is not an offer. Between the two lie decisions that somebody has to sign: what each
# segment gets, by which way, who is not to be bothered. A plan is those decisions as a table. It
# holds no customers, so it can be argued about before anybody sees a name.

# %%
Action = cs.campaigns.Action
rules = {
    "preferred": "way",
    "consent": {"email": "reads_email"},
    "exclude": ["complains"],
    "contacts": "opened_28d",
    "max_contacts": 3,
    "capacity": {"letter": 600},
    "priority": "monetary",
}
actions = {
    "Regulars": Action(offer="early access", channel=["(preferred)", "email", "letter"]),
    "Lapsed": Action(offer="20% off", channel=["email", "letter"], eligible="recency <= 365"),
    "Occasional": Action(offer="10% off", channel=["(preferred)", "email"]),
    "One-offs": None,
}
plan = cs.ActionPlan(actions=actions, **rules)
plan

# %% [markdown]
# `None` is a decision as well: we leave the one-offs alone, and say so. A segment that the plan
# forgets would be an error. Now the plan meets the customers.

# %%
planned = plan.apply(today, model.segments_)
planned.plot()
cs.notebook.describe_figure()
plt.show()
print(planned.summary())

# %%
planned.account.T

# %% [markdown]
# Half of the customers get something. Every other customer is in exactly one row: customers are
# those with an action plus those without, reason by reason, and the columns add up. The letters
# run out in the two weaker segments, because the 600 go to those who spend most.
#
# When two reasons apply, a customer is counted under the first. Keep that in mind.

# %% [markdown]
# ### Exercise 1
#
# Who opened three e-mails in four weeks is left alone. Somebody wants to lift that cap. The account
# counts the customers that it stops. How many more get an offer without it?

# %%
more_offers = ...  # your answer, a whole number
# solution
# hint: a plan without contacts and max_contacts, applied to the same customers.
uncapped = cs.ActionPlan(
    actions=actions, **{k: v for k, v in rules.items() if k not in ("contacts", "max_contacts")}
).apply(today, model.segments_)
more_offers = len(uncapped.contacts) - len(planned.contacts)

# %%
cs.notebook.check("10-1", more_offers)

# %% tags=["solution"]
both = {"capped": planned.account, "uncapped": uncapped.account}
counts = pd.DataFrame({name: account.loc["(all)"] for name, account in both.items()})
counts.reindex(planned.account.columns).fillna(0).astype(int)

# %% [markdown] tags=["solution"]
# 139, where the cap stops 153. Every letter that goes to one of them is taken from somebody who
# spends less, and 14 more find no room. What a rule costs is not what the account says under its
# name. It takes the plan without it.

# %% [markdown]
# ## What would have happened anyway?
#
# How many customers a test needs depends on what they do without the offer: how much, and how
# unequally. The shop has no campaign yet, but it has a history, and a plan that holds no customers
# can be applied to any day of it. So we go back to the sixth of October, an ordinary month ahead,
# and look who would have been written to.

# %%
day = "2024-10-06"
then = known_on(day)
segments_then = model.predict(then.dropna(subset=["frequency"]))
reached = plan.apply(then, segments_then).contacts
history = then.loc[reached.index].assign(segment=reached["segment"])
later = cs.features.rfm(orders, as_of="2024-11-03").loc[history.index]
history["spend"] = later["monetary"] - history["monetary"]
history["bought"] = (later["frequency"] > history["frequency"]).astype(int)
print(f"{len(history):,} customers would have had an offer")

# %% [markdown]
# Spend and purchases are those of the four weeks *after* that day, as in the campaign. Everything
# else was known *on* it. January may be slower than October, and the plan cannot know. Last January
# would be the right month, but then the shop was a year younger.

# %% [markdown]
# ### Exercise 2
#
# Two analysts each hand in what customers spend in four weeks, by segment. One did as above. The
# other took the last four weeks of the year, and the segments of today. Which one should the plan
# rest on, `"first"` or `"second"`?

# %%
recent = today.loc[planned.contacts.index]
readings = {
    "first": recent.groupby(planned.contacts["segment"])["amount_28d"],
    "second": history.groupby("segment")["spend"],
}
pd.DataFrame({name: found.mean() for name, found in readings.items()}).round(1)

# %%
to_rest_on = ...  # your answer, "first" or "second"
# solution
# hint: recency is part of the segments. What do segments of today know of the last four weeks?
to_rest_on = "second"

# %%
cs.notebook.check("10-2", to_rest_on)

# %% [markdown] tags=["solution"]
# The second. Segments made today know who bought in the last four weeks, for they are made of
# recency: nobody who is lapsed today can have bought last week, so the first analyst finds that
# they never buy. The plan would have a baseline of zero for them, and of too much for the others, all
# the more as December is the best month. Segments first, outcomes after: in a history as in a
# campaign.

# %% [markdown]
# ## How many customers?
#
# The test is declared now, while nobody knows an outcome: offer against nothing, half and half,
# with two metrics. Then the history says what their level and spread are.

# %%
design = cs.CampaignDesign(arms={"control": 0.5, "offer": 0.5}, strata=["segment"], salt="january")
metrics = {"bought": cs.Proportion("bought"), "spend": cs.Mean("spend")}
test = design.test(metrics, segments="segment")
level = cs.campaigns.baselines(history, test)
columns = ["metric", "segment", "n", "baseline", "sd", "skewness"]
level.to_frame()[columns].round(2)

# %%
level.plot(metric="spend")
cs.notebook.describe_figure()
plt.show()

# %%
for note in level.notes:
    print(note)

# %% [markdown]
# The spread of spend is twice its mean: in four weeks two customers in three spend nothing, and a
# few spend hundreds. How many customers does it take to find that an offer moves a metric by a
# tenth?

# %%
for_a_tenth = design.sample_size(relative_effect=0.1, baseline=level)
needed = for_a_tenth.to_frame()
needed[["metric", "segment", "baseline", "effect", "alpha", "n", "n_campaign"]].round(3)

# %%
print(for_a_tenth.summary())

# %%
for_a_tenth.plot(metric="bought")
cs.notebook.describe_figure()
plt.show()

# %% [markdown]
# For everybody it takes 6,262 customers if we count buyers, and twice as many if we count money.
# By segment, three questions share the error that one had, and each segment has to answer with its
# own customers: the campaign would need forty thousand, and eighty thousand for money. The plan
# reaches 2,534.
#
# So the question is turned round. What can those find?

# %%
findable = design.minimum_detectable_effect(len(planned.contacts), baseline=level)
found = findable.to_frame().set_index(["metric", "segment"])
found["relative_effect"].unstack("metric").round(3)

# %% [markdown]
# Buyers up by a sixth, or money up by almost a quarter, for everybody. In a segment the smallest
# effect that would show is one of a fifth among the regulars, and two fifths elsewhere. An offer
# that sells a tenth more would be a success, and most likely this test would not see it.
#
# An effect of half the size takes four times the customers, whatever one does. But one may do
# something about the spread.

# %% [markdown]
# ## What do covariates and strata save?
#
# Part of what customers will spend is known beforehand. CUPED takes that part off the outcome,
# and what is left spreads less. The saving is the squared correlation, and the history has it.
#
# ### Exercise 3
#
# What was spent in the four weeks before is measured over as long as the outcome. What was spent in
# the year before includes much that is long ago. Which column saves most: `"amount_28d"`,
# `"amount_91d"` or `"amount_365d"`? Decide, then measure.

# %%
saves_most = ...  # your answer, the name of a column
# solution
# hint: baselines() of a test with cs.Mean("spend", covariate=...) has a column r_squared.
saved = {}
for column in ["amount_28d", "amount_91d", "amount_365d"]:
    adjusted = design.test({"spend": cs.Mean("spend", covariate=column)})
    saved[column] = cs.campaigns.baselines(history, adjusted).to_frame().loc[0, "r_squared"]
saves_most = max(saved, key=saved.get)

# %%
cs.notebook.check("10-3", saves_most)

# %% tags=["solution"]
pd.Series(saved).round(3)

# %% [markdown] tags=["solution"]
# The year, by far. A single month is nearly as much chance as the outcome itself; a year tells how
# somebody buys.

# %% [markdown]
# Strata are the other remedy: assign within groups that spend alike, and chance cannot put the big
# spenders into one arm. So we try both, with fifths of last year's spend as strata.

# %%
history["level"] = pd.qcut(history["amount_365d"], 5, labels=["1", "2", "3", "4", "5"])
remedies = {}
for covariate in (None, "amount_365d"):
    both = {
        "bought": cs.Proportion("bought", covariate=covariate),
        "spend": cs.Mean("spend", covariate=covariate),
    }
    known = cs.campaigns.baselines(history, design.test(both), strata=["level"])
    gains = design.sample_size(relative_effect=0.1, baseline=known).gains()
    remedies[covariate] = gains.pivot(index="adjustment", columns="metric", values="n")

# %%
alone, beside = remedies[None], remedies["amount_365d"]
customers_needed = pd.DataFrame(
    {
        "neither": alone.loc["none"],
        "strata": alone.loc["covariates, strata balanced"],
        "strata that the test knows": alone.loc["covariates and strata"],
        "covariate": beside.loc["covariates"],
        "covariate and strata": beside.loc["covariates, strata balanced"],
    }
).T
customers_needed

# %%
figure, axes = plt.subplots(1, 2, figsize=(8, 2.4), sharey=True, layout="constrained")
for ax, metric in zip(axes, customers_needed, strict=True):
    ax.barh(customers_needed.index, customers_needed[metric])
    ax.set(title=metric, xlabel="customers to find a tenth more")
    ax.locator_params(axis="x", nbins=4)
axes[0].invert_yaxis()
cs.notebook.describe_figure(figure)
plt.show()

# %% [markdown]
# A year of spend as a covariate saves a ninth of the customers for money, and less for buyers.
# Strata alone, without telling the test, save 2 to 3%: the arms come out more alike, but the
# test's standard error does not know that they do. Told, they save nearly as much as the
# covariate. And beside the covariate they save nothing, for they are the same knowledge twice.
#
# These savings are real, and they are not the rescue that one reads of. In this shop nine tenths of
# what somebody spends in four weeks cannot be foreseen from the year before. We take the covariate
# for money, and come back to what it cannot do.

# %% [markdown]
# ## Who is in which arm?
#
# The salt and the customer id decide: the arm is a number that anybody can compute again, in any
# system, for one customer.

# %%
listed = today.loc[planned.contacts.index].assign(segment=planned.contacts["segment"])
by_hash = design.assign(listed, method="hash")
by_hash.plot()
cs.notebook.describe_figure()
plt.show()
print(by_hash.summary())

# %%
someone = listed.index[0]
digest = sha256(f"january:arm:{someone}".encode()).hexdigest()
number = (int(digest[:16], 16) >> 11) / 2**53
print(someone, by_hash.customers.loc[someone, "arm"], f"{number:.3f}")

# %% [markdown]
# Below one half is control, above is the offer. Nothing else enters: not the order of the rows, not
# who else is on the list. Whoever joins in February has an arm already. The price is that arms are
# as unequal as chance makes them, here most in the segment of occasional buyers.
#
# Our list is closed on New Year's Eve. So we may have the halves exact in each segment: within a
# segment customers are put in order by the same number, and every other one is control.

# %%
assignment = design.assign(listed)
print(assignment.summary())
halves = {
    name: pd.crosstab(found.customers["stratum"], found.customers["arm"])
    for name, found in {"by hash": by_hash, "stratified": assignment}.items()
}
pd.concat(halves, axis=1)

# %% [markdown]
# What is kept of it is the plan, and a fingerprint of who is in which arm. If the arms are asked
# for again in March, the same fingerprint proves that nobody was moved.

# %%
record = assignment.record()
record["customers"], record["fingerprint"][:12]

# %% [markdown]
# ### Exercise 4
#
# The list goes to three departments, and each sends back the arms that it used. One took the
# stratified list as it is. One drew by itself, by the last digit of the customer number. One
# struck those with an offer who had not been in the shop for four weeks: they would not notice it
# anyway. Which of them is A, B or C was drawn by lot. Whose arms can no longer be compared?

# %%
away = listed.index[listed["touchpoint_visit_count_28d"] == 0]
struck = assignment.customers.query("arm == 'offer'").index.intersection(away)
digits = listed.index.str[-1].astype(int)
lists = {
    "as it is": assignment.customers,
    "by digit": assignment.customers.assign(
        arm=pd.Categorical(np.where(digits < 5, "control", "offer"), list(design.arms))
    ),
    "struck": assignment.customers.drop(struck),
}
drawn = dict(zip("ABC", np.random.default_rng(5).permutation(list(lists)), strict=True))
before = ["age", "region", "recency", "frequency", "amount_365d", "opened_28d", "way"]
balances = {
    letter: design.balance(replace(assignment, customers=lists[name]), listed, columns=before)
    for letter, name in drawn.items()
}
figure, axes = plt.subplots(1, 3, figsize=(10, 4.4), sharey=True, sharex=True, layout="constrained")
for ax, (letter, balance) in zip(axes, balances.items(), strict=True):
    balance.plot(ax=ax)
    ax.set_title(letter)
    ax.set_xlabel("difference from control,\nin standard deviations")
cs.notebook.describe_figure(figure)
plt.show()

# %%
broken = ...  # your answer, a letter
# solution
# hint: balance.summary() says of each list whether chance explains the differences.
broken = max(balances, key=lambda letter: balances[letter].overall["statistic"].iloc[0])

# %%
cs.notebook.check("10-4", broken)

# %% tags=["solution"]
for letter, balance in balances.items():
    print(f"{letter} ({drawn[letter]}). {balance.summary()}")

# %% [markdown] tags=["solution"]
# The one that struck customers from one arm only. It compares everybody in control with those who
# still come, and the offer would look splendid. Nobody in that department meant any harm. If the
# absent are to be left out, they must be left out of both arms, before the arms are drawn: that is
# an eligibility rule, and belongs in the plan.
#
# The digit did no harm either, this time. But the next campaign by digit has the same customers in
# control again.

# %% [markdown]
# ## Campaigns that never were
#
# Does the test keep what it promises on *these* customers, with their skewed money? In October
# no offer was sent, so the history can be assigned a thousand times as the design does it. Every
# effect that a test finds there is a false alarm, and there should be 5%.

# %%
metrics = {
    "bought": cs.Proportion("bought"),
    "spend": cs.Mean("spend"),
    "adjusted spend": cs.Mean("spend", covariate="amount_365d"),
}
test = design.test(metrics, segments="segment")
never = cs.campaigns.aa_simulation(history, test, design=design)
never.plot()
cs.notebook.describe_figure()
plt.show()
print(never.summary())

# %% [markdown]
# As promised, in every line up to what a thousand campaigns can tell. The rule of thumb above asked
# for 3,225 customers in an arm. With equal arms the skewness of both sides cancels, and a few
# hundred are enough. This is why one tries it.
#
# ### Exercise 5
#
# A control group gets no offer, so the sales department wants it small: a tenth. Decide first: with
# which metric do the tests by segment still hold what they promise, `"bought"`, `"spend"` or
# `"adjusted spend"`?

# %%
holds = ...  # your answer, the name of a metric
# solution
# hint: aa_simulation with another design; its frame has a column status.
small_control = replace(design, arms={"control": 0.1, "offer": 0.9})
lopsided = cs.campaigns.aa_simulation(
    history, small_control.test(metrics, segments="segment"), design=small_control
)
alarms = lopsided.familywise.set_index(["family", "metric"])["rate"].loc["segments"]
holds = alarms.idxmin()

# %%
cs.notebook.check("10-5", holds)

# %% tags=["solution"]
lopsided.plot()
cs.notebook.describe_figure()
plt.show()

# %% tags=["solution"]
of_families = {"half in control": never.familywise, "a tenth": lopsided.familywise}
pd.DataFrame(
    {
        name: found.query("family == 'segments'").set_index("metric")["rate"]
        for name, found in of_families.items()
    }
)

# %% [markdown] tags=["solution"]
# Only who bought. That is yes or no, and has no long tail. Money does: in a control group of seventy
# the few who spend hundreds are there or not, and the intervals are wrong about it. The table has
# the chance that any of the three segments is a false alarm, after Holm's correction. The
# correction assumes p-values that are right.
#
# A small control group also finds less: with a tenth in it, the campaign needs nearly three times
# the customers.

# %% [markdown]
# ## How long does it take?
#
# Letters and e-mails leave in a day. But the branch managers have a proposal: no letters, the offer
# waits at the till and in the app for whoever comes by. That costs nothing. How long until 2,200
# customers of the plan have met it, and each has had four weeks?

# %%
visits = shop.touchpoints.query("touchpoint == 'visit' and timestamp >= '2024-10-07'")
visits = visits[visits["customer_id"].isin(history.index)]
by_day = cs.campaigns.customers_by_day(visits, customer_id="customer_id", timestamp="timestamp")
in_first_week = by_day.iloc[6] / 7
print(f"{in_first_week:.0f} customers a day in the first week")
print("at that rate:", design.duration(2_200, in_first_week, follow_up=28).summary())
print("as they came:", design.duration(2_200, by_day, follow_up=28).summary())

# %%
waiting = design.duration(1_500, by_day, follow_up=28)
waiting.plot()
cs.notebook.describe_figure()
plt.show()
print(waiting.summary())

# %%
ids = history.index.to_series()
came = {
    "in the first week": ids.isin(visits.query("timestamp < '2024-10-14'")["customer_id"]),
    "in twelve weeks": ids.isin(visits["customer_id"]),
}
pd.DataFrame(came).groupby(history["segment"]).mean().round(2)

# %% [markdown]
# The first week brings those who come often, and the second week brings them again. A rate counts
# visits, a test counts customers. In twelve weeks the 2,200 do not come, and nothing is
# extrapolated; 1,500 do, after four weeks. And they are not the customers of the plan: of the
# lapsed, for whom the offer was made, a third never come by. By post it is, then: one day and four
# weeks.

# %% [markdown]
# ## What was there to be found
#
# No shop ever sees this table before its campaign. Here the true effect of each offer on each
# customer is known, so the design can be held against it: the smallest effect that it finds four
# times in five, the effect that is there, and the chance to find that one. (Both discounts are taken
# for the planted one.)

# %%
final = design.minimum_detectable_effect(
    len(listed), baseline=cs.campaigns.baselines(history, test)
)
held = final.to_frame().set_index(["metric", "segment"]).loc[["bought", "adjusted spend"]]
truth = shop.truth.set_index("customer_id").loc[listed.index]
early = listed["segment"] == "Regulars"
for metric, column in {"bought": "conversion_effect", "adjusted spend": "effect"}.items():
    effect = truth[f"{column}_discount"].where(~early, truth[f"{column}_early_access"])
    held.loc[(metric, "(all)"), "true"] = effect.mean()
    for segment, mean in effect.groupby(listed["segment"]).mean().items():
        held.loc[(metric, segment), "true"] = mean

# %%
held["chance"] = [
    cs.campaigns.power(
        row["n"],
        row["true"],
        baseline=row["baseline"],
        sd=row["sd"] if metric == "adjusted spend" else None,
        alpha=row["alpha"],
        r_squared=row["r_squared"],
    ).power
    for (metric, _), row in held.iterrows()
]
held[["effect", "true", "chance"]].rename(columns={"effect": "found from"}).round(3)

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 2.6), sharey=True, layout="constrained")
for ax, (metric, rows) in zip(axes, held.groupby(level=0, sort=False), strict=True):
    segment = rows.index.get_level_values(1)
    ax.barh(segment, rows["effect"], color="0.85", label="too small to be found")
    ax.plot(rows["true"], segment, "o", label="true effect")
    ax.set(title=metric, xlabel="offer minus control")
    ax.locator_params(axis="x", nbins=5)
axes[0].invert_yaxis()
axes[1].legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
cs.notebook.describe_figure(figure)
plt.show()

# %% [markdown]
# Of eight questions one will be answered: the offers make more people buy, and the campaign finds
# that nineteen times in twenty. In each segment it sooner misses the effect than finds it, and
# whether the offers bring money it most likely cannot say. All the effects are there, and they are
# not small: a quarter more buyers among the lapsed would please any head of marketing. The report
# will call them "not significant", and somebody will read "did not work".
#
# It would be easy to run the test all the same, and to tell the story of the one segment that came
# out on top. The design has told us beforehand not to.

# %% [markdown]
# ## Key points
#
# - A plan places every customer: an offer, or one reason why not. What a rule costs is seen by
#   leaving it away.
# - Baselines come from those who would have been in the campaign, with the segments of that day.
# - One question for everybody takes thousands of customers here. The same question of three
#   segments takes tens of thousands.
# - Covariates and strata save what history says, here a ninth at most. What is known twice
#   saves once.
# - Arms follow from a hash that anybody can compute. Whoever leaves must leave both arms.
# - Half and half forgives skewed money, one in ten does not. Try it on campaigns that never were.
# - Traffic counts visits, a test counts customers.
#
# ## Decision
#
# The campaign can say whether the offers make people buy, and nothing of segments. Would you run
# it as it is, run it twice and read both together, give all of the list one and the same
# offer, or write to the one-offs as well?

# %% tags=["nbval-ignore-output"]
cs.notebook.session_info()
