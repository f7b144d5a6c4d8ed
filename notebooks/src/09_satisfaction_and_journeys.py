# %% [markdown]
# # Where does it hurt, and for whom?
#
# **Question.** Which customers are satisfied with this shop, why, where do their journeys hurt, and what should be repaired first for whom?
#
# **Objectives.**
#
# - Score segments with errors, and know whom a survey does not hear.
# - Tell a change of satisfaction from a change of who answers.
# - Set what customers say is important beside what moves their recommendation.
# - Find pain points, gaps in coverage and complaints, and count them per what could go wrong.
# - Put a price on a repair before it is ordered.
#
# **Minutes.** 45
#
# **Prerequisites.** The notebook "Know your customers".
#
# **Data.** The simulated retailer that comes with custseg: orders, contacts and a survey of November 2024. Three later surveys and a follow-up are drawn here.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import statsmodels.formula.api as smf

import custseg as cs

cs.notebook.setup()

# %% [markdown]
# Five exercises stand in this notebook. An answer is checked on the spot, and a wrong one gets a
# hint. The version without solutions is in the folder `exercises`.

# %% [markdown]
# ## Four segments that know nothing of satisfaction
#
# A segment made of satisfied customers is satisfied by construction. So the segments come from
# orders alone, up to the day before the survey: where somebody buys most, and whether more than
# three lines in ten are bought at a discount.

# %%
shop = cs.datasets.load_shop()
day = "2024-11-03"
orders = cs.Transactions(
    shop.transactions,
    customer_id="customer_id",
    timestamp="timestamp",
    order_id="order_id",
    channel="channel",
    quantity="quantity",
    amount="amount",
    discount="discount",
).clean()
habits = cs.features.purchase_features(orders, as_of=day)

# %%
place = np.where(habits["channel_share_store"] > 0.5, "store", "online")
price = np.where(habits["discount_share"] > 0.3, "bargains", "full price")
segments = pd.Series(place, habits.index, name="segment") + " " + price
columns = ["frequency", "amount_365d", "channel_share_store", "discount_share"]
sizes = segments.value_counts().rename("customers")
habits[columns].groupby(segments).mean().round(2).join(sizes)

# %% [markdown]
# Nobody claims that these four exist in nature. They are two habits that the shop can act on: it
# knows them of every customer on the day of the order.
#
# ## Who is satisfied?

# %%
answers = shop.survey.set_index("customer_id")
scores = cs.value.satisfaction(answers, segments)
scores

# %%
scores.plot()
cs.notebook.describe_figure()
plt.show()

# %% [markdown]
# Read the width before the order. The net promoter score of a segment with five hundred answers is
# known to about seven points either way, because promoters and detractors pull it both ways. The
# ends are clear: bargain hunters online are at 4, customers who pay the full price in the store at
# 34. By this score the two in between differ from the rest by no more than chance allows. All three
# questions give the same order of the ends, so it is no whim of one question.
#
# ### Whom did we not hear?

# %%
answered = pd.Series(habits.index.isin(answers.index), habits.index)
heard = answered.groupby(segments).agg(customers="size", answers="sum")
low, high = cs.stats.wilson(heard["answers"], heard["customers"])
heard.assign(rate=heard["answers"] / heard["customers"], ci_low=low, ci_high=high).round(3)

# %% [markdown]
# The most satisfied segment answers most. So the score of the whole shop listens to it too much.
# Decide before you compute: if everybody had answered alike, would the 19 fall by half a point, by
# five, or by fifteen?

# %% [markdown]
# ### Exercise 1
#
# Rake the answers to the sizes of the four segments, of three bands of days since the last order
# and of three bands of orders. What is the net promoter score of all customers then?

# %%
known = pd.DataFrame(
    {
        "segment": segments,
        "silent": pd.cut(habits["recency"], [-1, 60, 180, 999]).astype(str),
        "orders": pd.cut(habits["frequency"], [0, 2, 6, 999]).astype(str),
    }
)
weighted_nps = ...  # your answer, a number
# solution
# hint: cs.features.rake(known[answered], counts of each column of known); then weights=.
counts = {column: known[column].value_counts() for column in known}
raked = cs.features.rake(known[answered], counts)
said = answers.loc[answers.index.isin(known.index)]
weighted = cs.value.satisfaction(said, segments, weights=raked.weights)
weighted_nps = weighted.to_frame()["estimate"].iloc[0]

# %%
cs.notebook.check("09-1", weighted_nps)

# %% tags=["solution"]
print(raked.summary())
weighted.to_frame().query("score == 'nps'")[["segment", "estimate", "ci_low", "ci_high"]].round(1)

# %% [markdown] tags=["solution"]
# By half a point. The rates differ by eleven percentage points and the scores by thirty, which
# sounds like more than it is. Weights mend what the margins know. If angry customers are silent
# within a segment, no weight tells.

# %% [markdown]
# ## The score rose. Did anything get better?
#
# Half a year later the survey is repeated. Three versions of that survey are drawn here. In one
# more store customers answer, in one online customers really are more satisfied, in one nothing
# changed. The letters are drawn by lot.

# %%
rng = np.random.default_rng(9)
first = answers[["nps"]].join(segments, how="inner")
online = first["segment"].str.startswith("online").to_numpy()
recipes = {
    "others answer": {"chance": np.where(online, 1, 4), "lift": 0.0},
    "online is better": {"chance": np.ones(len(first)), "lift": 0.6},
    "nothing changed": {"chance": np.ones(len(first)), "lift": 0.0},
}
drawn = dict(zip("ABC", rng.permutation(list(recipes)), strict=True))


def repeat(chance, lift):
    who = rng.choice(len(first), 1_500, p=chance / chance.sum())
    better = online[who] & (rng.random(1_500) < lift)
    later = first.iloc[who].assign(customer_id=[f"later {n}" for n in range(1_500)])
    return later.assign(nps=(later["nps"] + better).clip(upper=10)).set_index("customer_id")


later = {letter: repeat(**recipes[name]) for letter, name in drawn.items()}

# %%
changes = {
    letter: cs.value.score_change(
        first[["nps"]], wave[["nps"]], segments, segments_after=wave["segment"]
    )
    for letter, wave in later.items()
}
for letter, change in changes.items():
    print(f"{letter}: {change.to_frame()['change'].iloc[0]:+.1f}")

# %% [markdown]
# Two scores rose by about as much. A quarterly report would congratulate both teams.

# %% [markdown]
# ### Exercise 2
#
# In which survey did customers become more satisfied?

# %%
became_better = ...  # your answer, a letter
# solution
# hint: changes["A"] splits the change into mix and rate; look at the intervals of both.
rates = {letter: change.to_frame().iloc[0] for letter, change in changes.items()}
became_better = next(letter for letter, row in rates.items() if row["rate_low"] > 0)

# %%
cs.notebook.check("09-2", became_better)

# %%
for letter, change in changes.items():
    print(f"{letter}, {drawn[letter]}: {change.summary()}\n")

# %%
changes["B"].plot()
cs.notebook.describe_figure()
plt.show()

# %% [markdown]
# Nothing changed in A. B and C rose alike, and for different reasons. In B the whole change by mix
# is +5.9, and its interval is far from 0: customers of the store, who were more satisfied all along,
# are a larger part of those who answer. What the segments answered (+1.9) may be chance. In C no
# share moved, and the online segments answer otherwise. Only C deserves a congratulation.
#
# A score of 27 in B is not wrong. It is the score of other people.
#
# ## Why? What they say and what moves them
#
# The survey asked how important six things are. A follow-up asks the same people how satisfied
# they are with each of the six, and again whether they recommend the shop. It is simulated, so
# that there is a truth to find: online and in the store two of the six move the recommendation,
# and some are done badly. Which ones is drawn by lot.

# %%
rng = np.random.default_rng(98)
needs = ["low_price", "quality", "convenience", "advice", "range", "sustainability"]
lot = rng.permutation(needs)
moves = {"online": lot[:2], "store": lot[2:4]}
weak = {"online": lot[[1, 4]], "store": lot[[3, 5]]}

mood = (first["nps"] - first["nps"].mean()) / first["nps"].std()
home = first["segment"].str.split().str[0]
good = {
    need: 5.1 - 1.1 * home.map({h: need in weak[h] for h in weak}) + 0.6 * mood for need in needs
}
felt = pd.DataFrame(good) + rng.normal(0, 1, (len(first), len(needs)))
pull = pd.DataFrame({need: home.map({h: need in moves[h] for h in moves}) for need in needs})
recommends = 7.4 + 0.8 * ((felt - 5.1) * pull).sum(axis=1) + rng.normal(0, 1, len(first))
follow_up = felt.round().clip(1, 7).assign(nps=recommends.round().clip(0, 10))
follow_up = follow_up.join(answers[[f"benefit_{need}" for need in needs]])

# %% [markdown]
# First what they say. The gap is importance less satisfaction of the same customer.

# %%
pairs = {need: (f"benefit_{need}", need) for need in needs}
gaps = cs.value.needs_gap(follow_up, pairs, segments)
gaps.to_frame().pivot(index="need", columns="segment", values="gap").round(2)

# %%
gaps.plot(segment="online bargains")
cs.notebook.describe_figure()
plt.show()

# %% [markdown]
# Advice in the store, low prices for the bargain hunters: these are the widest gaps, and the list
# of repairs seems to write itself. Decide before you read on: would you start there?
#
# Then what moves them: the share of each of the six in what explains the recommendation. It is
# averaged over all orders in which the six can enter, because satisfied customers are satisfied
# with everything a little.

# %%
drivers = cs.value.key_drivers(follow_up, "nps", needs, segments, n_boot=300)
table = drivers.to_frame()
shares = ["share", "share_low", "share_high", "beta", "beta_low", "beta_high", "quadrant", "firm"]
table.query("segment == 'online bargains'").set_index("driver")[shares].round(2)

# %%
drivers.plot(segment="online bargains")
cs.notebook.describe_figure()
plt.show()

# %% [markdown]
# Two needs carry nearly nine tenths of what is explained, and low prices are not among them:
# their share is 3%, and the interval of their slope (`beta`) holds 0. Bargain hunters say that the price matters most, are
# least satisfied with it, and recommend the shop no more or less for it. The map draws the
# conclusion: important and badly done is convenience. Quality matters more still, and is done well.
#
# Are the drivers of the segments the same?

# %%
same = drivers.same_drivers
print(f"equal slopes: chi2 {same['chi2']:.0f} on {same['df']:.0f} degrees of freedom")
table.pivot(index="driver", columns="segment", values="share").loc[needs].round(2)

# %% [markdown]
# They are not, and the column of everybody hides it: it would spread the money over four needs.

# %% [markdown]
# ### Exercise 3
#
# There is money for one repair for the bargain hunters online, and for one for customers who pay the
# full price in the store. Which need would you repair for each? (Names as in `needs`.)

# %%
repairs = ...  # your answer, a list of two needs
# solution
# hint: not the largest gap; the quadrant "concentrate here" is what moves and is done badly.
urgent = table[table["quadrant"] == "concentrate here"].set_index("segment")["driver"]
repairs = [urgent["online bargains"], urgent["store full price"]]

# %%
cs.notebook.check("09-3", repairs)

# %% tags=["solution"]
both = table[table["segment"].isin(["online bargains", "store full price"])]
both.pivot(index="driver", columns="segment", values=["share", "performance"]).round(2)

# %% [markdown]
# And the truth:

# %%
pd.DataFrame({"moves": moves, "done badly": weak}).map(", ".join)

# %% [markdown]
# In the store the widest gap was advice, and advice moves nothing either. Why did people say
# otherwise? Asked what is important, customers name what they know to be theirs. What moves a
# recommendation is where good and bad differ *and* it matters.
#
# In this follow-up the slopes are causes, because the recipe made them so. In a real survey they
# are association: a driver is a candidate for a test, not a promise.
#
# ## In their own words

# %%
survey = cs.Survey(shop.survey, customer_id="customer_id", timestamp="responded", comment="comment")
found = cs.features.comment_themes(survey, 8)
found.to_frame()[["words", "share"]].round(2)

# %% [markdown]
# Words that stand together make a theme. The search finds topics such as prices, advice and new
# collections, and mixes in the tone, because half of every comment is praise or blame. It is good
# for learning which words there are. For counting, themes are better given: with names, and with
# keywords that were read in these comments.

# %%
words = {
    "prices": ["price*", "discount", "vouchers"],
    "new things": ["new", "fun", "choice"],
    "advice": ["advice", "talk", "staff", "touch"],
    "quick": ["quick", "faster", "slow"],
    "sending back": ["sending", "refund"],
    "no answer": ["waited", "nobody"],
}
themes = cs.features.comment_themes(survey, words)
voices = cs.value.feedback_themes(themes.weights, segments)
spoken = voices.to_frame()
spoken.pivot(index="theme", columns="segment", values="rate").loc[list(words)].round(3)

# %%
figure, axes = plt.subplots(1, 2, figsize=(7.5, 2.4), sharey=True, layout="constrained")
for ax, theme in zip(axes, ["advice", "no answer"], strict=True):
    voices.plot(theme=theme, ax=ax)
cs.notebook.describe_figure(figure)
plt.show()
print(voices.summary())

# %% [markdown]
# Topics go with the segments: prices with bargains, advice with the store, new things with the full
# price online. And the complaints?

# %%
complaints = spoken[spoken["theme"].isin(["sending back", "no answer"])]
compared = ["theme", "segment", "about", "rate", "difference", "p_holm"]
complaints.loc[complaints["segment"] != "(all)", compared].round(3)

# %% [markdown]
# A seventh of the comments are about sending things back, and as many about waiting for an answer.
# In the store one segment speaks less of the first and the other less of the second, by six
# percentage points, where topics differ by thirty and more. A topic tells who somebody is. To learn what went
# wrong, look at what happened.
#
# ## Where journeys hurt

# %%
contacts = cs.Touchpoints(
    shop.touchpoints,
    customer_id="customer_id",
    timestamp="timestamp",
    channel="channel",
    touchpoint="touchpoint",
    stage="stage",
).clean()
journeys = cs.features.journey_map(contacts, as_of=day, by=segments, of="touchpoint")
print(journeys.summary())

# %%
journeys.plot(segment="(all)")
cs.notebook.describe_figure()
plt.show()

# %%
pains = journeys.pain_points
kept = ["n", "probability", "ci_low", "ci_high", "reference_probability", "extra"]
pains[pains["flagged"]].set_index(["segment", "from", "to"])[kept].round(3)

# %% [markdown]
# Five of eighty places stand out, all of them for everybody. By sheer number one place leads: after
# one purchase in thirteen the next contact is a return, and `extra` counts 1,594 returns beyond
# what an average place would have. One purchase in 24 is followed by a call for help. E-mails are
# where journeys end, which says more about e-mails than about customers: they go on being read
# now and then by those who no longer buy.
#
# And by segment?

# %%
journeys.plot()
cs.notebook.describe_figure()
plt.show()

# %% [markdown]
# The four maps look alike, and none has a frame of its own. The place that hurts most, closer up:

# %%
after = pains[(pains["from"] == "purchase") & (pains["to"] == "return")].sort_values("segment")
after[["segment", "n_from", "probability", "ci_low", "ci_high", "flagged"]].round(3)

# %%
figure, ax = plt.subplots(figsize=(6, 2.2), layout="constrained")
ax.hlines(after["segment"], after["ci_low"], after["ci_high"])
ax.plot(after["probability"], after["segment"], "o")
ax.set(xlabel="share of purchases whose next contact is a return")
ax.margins(y=0.15)
ax.invert_yaxis()
cs.notebook.describe_figure(figure)
plt.show()

# %% [markdown]
# Returns after a purchase are more frequent online (8% and 9%)
# than in the store (about 7%), yet the intervals overlap with that of everybody. They must hold for all
# eighty places together, and everybody includes the segment itself. The map misses small
# differences rather than inventing some. A question that was asked before looking, "do online
# customers return more per order?", gets a sharper answer below.
#
# Where do customers drop off? The shares of contacts that were the last of their journey:

# %%
exits = pains[pains["kind"] == "drop-off"]
exits.pivot(index="from", columns="segment", values="probability").round(3)

# %% [markdown]
# One number catches the eye: in the store, a bargain hunter's call for help is the last contact in
# 3.3% of cases, three times the average. It rests on nine calls, and is not flagged: remember it, and
# look again next year. The rest differs by fractions of a percentage point. Seen from the other end,
# this is the furthest stage that customers ever reached:

# %%
meetings = cs.features.journey_features(contacts, as_of=day, windows=(365,))
furthest = meetings["furthest_stage"].reindex(segments.index)
reached = pd.crosstab(segments, furthest, normalize="index").loc[:, lambda x: x.gt(0).any()]
reached.round(3)

# %% [markdown]
# Loyalty here means that somebody wrote a review. Three in four store customers who look for
# bargains never did, and their last word, if there is one, is a return or a call for help. Online
# more customers get that far, but they also order more often, and every order is another chance to
# write. Which brings us to the question of what to count by.

# %% [markdown]
# ### Complaints, per customer and per order

# %%
trouble = pd.DataFrame(
    {
        "returns": meetings["touchpoint_return_count"],
        "tickets": meetings["touchpoint_support_ticket_count"],
    }
).reindex(segments.index, fill_value=0)
per_customer = cs.value.complaint_rates(trouble, segments)
per_customer.to_frame()[["kind", "segment", "complaints", "rate", "ratio", "p_holm"]].round(3)

# %% [markdown]
# ### Exercise 4
#
# Per customer, both online segments write more tickets than the others. Count per order instead:
# how many of the four segments write clearly more tickets than the others?

# %%
clearly_more = ...  # your answer, a whole number
# solution
# hint: the same call with exposure=habits["frequency"]; then ratio above 1 and p_holm below .05.
per_order = cs.value.complaint_rates(trouble, segments, exposure=habits["frequency"])
tickets = per_order.to_frame().query("kind == 'tickets'")
clearly_more = int(((tickets["ratio"] > 1) & (tickets["p_holm"] < 0.05)).sum())

# %%
cs.notebook.check("09-4", clearly_more)

# %% tags=["solution"]
per_order.plot()
cs.notebook.describe_figure()
plt.show()

# %% [markdown] tags=["solution"]
# None. Online customers order more, and who orders more has more to ask about. Per order the store's full price
# stands below the others, and nobody above. Returns are another matter: both online segments
# send back more, per customer and per order, those with the full price a third more than the others.

# %% [markdown]
# ### Who is reached through what

# %%
reach = cs.features.exposure(contacts, segments, as_of=day, of="channel", window=365)
reach.plot()
cs.notebook.describe_figure()
plt.show()
print(reach.summary())

# %% [markdown]
# The app and the web meet fewer of the store's customers, and the store fewer of those who buy
# online. That is how the segments were made, so it is no discovery. It is a constraint: a message
# in the app reaches 31% of the store's bargain hunters. E-mail is the one wide channel without a
# gap, with more than nine in ten of every segment in the last year. Whatever is repaired can be
# told to nearly all by e-mail.
#
# ## What does one trouble cost?

# %%
troubled = first.assign(trouble=trouble.sum(axis=1).clip(upper=4), orders=habits["frequency"])
figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
thin = {"linewidth": 1.2, "err_kws": {"linewidth": 1.2}, "dodge": 0.3, "seed": 0}
sns.pointplot(troubled, x="trouble", y="nps", hue="segment", ax=ax, **thin)
sns.move_legend(ax, "center left", bbox_to_anchor=(1, 0.5), frameon=False, title="")
ax.set(xlabel="returns and tickets before the survey (4 = four or more)", ylabel="mean answer")
cs.notebook.describe_figure(figure)
plt.show()

# %%
segment_means = troubled.groupby("segment")[["trouble", "orders", "nps"]].mean()
segment_means.round(2)

# %% [markdown]
# Within every segment the line falls. At its left end, without any trouble, three segments stand
# level at 8.5, and the bargain hunters online at 8.2: much of what divides the segments shows only
# after something went wrong. The store's full price falls least. Are these customers more
# forgiving?
#
# Perhaps. But trouble has a companion. Whoever orders often has more of it, and many order often
# because they are content. A slope that ignores this credits trouble with the satisfaction of good
# customers.

# %% [markdown]
# ### Exercise 5
#
# How much lower is the answer of 0 to 10 per trouble, between customers of the same segment with
# the same logarithm of their number of orders? (A regression, one slope for all.)

# %%
cost = ...  # your answer, a number below 0
# solution
# hint: smf.ols("nps ~ trouble + segment + np.log(orders)", troubled).fit().params["trouble"].
model = smf.ols("nps ~ trouble + segment + np.log(orders)", troubled).fit(cov_type="HC3")
cost = model.params["trouble"]

# %%
cs.notebook.check("09-5", cost)

# %% tags=["solution"]
without_orders = smf.ols("nps ~ trouble", troubled).fit(cov_type="HC3")
slopes = {"nothing else": without_orders, "segment and orders": model}
pd.DataFrame(
    {held: [fit.params["trouble"], *fit.conf_int().loc["trouble"]] for held, fit in slopes.items()},
    index=["slope", "ci_low", "ci_high"],
).T.round(2)

# %% [markdown] tags=["solution"]
# A trouble costs .43 of an answer, somewhat more than the plain slope says. The recipe of this shop takes .53 from what customers *feel*, for each of up to four
# troubles. Answers end at 10: who falls from 11 to 10.5 still answers 10. So .43 is about what the
# answers can show of it.

# %% [markdown]
# ## What to repair first, and for whom

# %% [markdown]
# A repair is worth what it spares: how much trouble there is, how much could be avoided, what one
# costs (the .43 above), and whom it hits. As the avoidable part we take what lies above the segment with the
# fewest returns and tickets per order. A better shop may exist, but this one shows that it can be done.

# %%
cost_of_one, cost_low, cost_high = 0.43, 0.36, 0.50
ordered = habits["frequency"].groupby(segments).sum()
per_order_rate = trouble.groupby(segments).sum().div(ordered, axis=0)
avoidable = (per_order_rate - per_order_rate.min()).mul(ordered, axis=0)
avoidable_share = avoidable.div(trouble.sum(axis=1).groupby(segments).sum(), axis=0)
capped = trouble.sum(axis=1).clip(upper=4).groupby(segments).mean()
gain = cost_of_one * avoidable_share.mul(capped, axis=0)

# %%
plan = pd.DataFrame(
    {
        "customers": segments.value_counts(),
        "spend last year": habits["amount_365d"].groupby(segments).sum().round(-3),
        "troubles each": capped,
        "answer lost": cost_of_one * capped,
        "gain": gain.sum(axis=1),
        "gain_low": gain.sum(axis=1) * cost_low / cost_of_one,
        "gain_high": gain.sum(axis=1) * cost_high / cost_of_one,
    }
)
plan.round(2)

# %% [markdown]
# Returns online as rare as in the store would bring a fifth of an answer. The six needs are priced
# in the same way: what their slope promises if each were done as well as in the best segment.

# %%
with_segment = follow_up.join(segments)
formula = f"nps ~ {' + '.join(needs)}"
slopes = {
    segment: smf.ols(formula, rows).fit().params[needs]
    for segment, rows in with_segment.groupby("segment")
}
level = with_segment.groupby("segment")[needs].mean()
options = gain.join(pd.DataFrame(slopes).T * (level.max() - level))

# %%
figure, ax = plt.subplots(figsize=(8, 2.8), layout="constrained")
shown = options.round(2) + 0
sns.heatmap(shown, vmin=0, vmax=1, cmap="Blues", annot=True, fmt=".2f", cbar=False, ax=ax)
ax.set(xlabel="repair", ylabel="", title="what it could bring: points of the mean answer, 0 to 10")
ax.tick_params(axis="x", rotation=30)
cs.notebook.describe_figure(figure)
plt.show()

# %% [markdown]
# Online, for both segments, convenience comes first: nine tenths of an answer, four times what
# fewer returns could bring. They may even be one repair, if sending back is what is inconvenient,
# so the cells of a row are not to be added. In the store it is sustainability. Low prices, the
# widest gap of all, would bring less than a tenth.
#
# Whom first? The two online segments are 57% of the customers and of last year's spend, and the
# least satisfied. And by e-mail they can be told.
#
# Every cell is a ceiling. It takes association for cause and the repair for complete, and it rests
# on unequal evidence: trouble was counted, needs were asked in a follow-up that we drew ourselves.
# Only a repair that reaches some customers by lot and others not shows what it brought.
#
# ## Key points
#
# - A net promoter score comes with its interval, and a segment is compared with the others.
# - Who answers is part of every score. A change is split into mix and rate before it is praised.
# - What customers say is important and what moves them are two lists. Repair what is on the
#   second and done badly, and test it.
# - Count complaints per what could go wrong. Per customer, good customers look like trouble.
# - Topics of comments tell who somebody is; contacts tell what went wrong.
# - A pain point is a place, not a cause, and a repair has a ceiling that can be computed before it
#   is ordered.
#
# ## Decision
#
# There is money for one repair this year. Which would you order, for whom, by which message, and
# which customers would you leave out of it at first, so that its effect can be measured?

# %% tags=["nbval-ignore-output"]
cs.notebook.session_info()
