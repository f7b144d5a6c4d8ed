# ---
# jupyter:
#   custseg:
#     requires: [cookie_cats, hillstrom]
# ---

# %% [markdown]
# # What did it do?
#
# **Question.** What did a change in a game and two e-mails do, to whom, and is it worth doing again?
#
# **Objectives.**
#
# - Check a test before reading it, and say how far a suspect check can move the answer.
# - Read effects with their intervals, and know when a covariate or a correction matters.
# - Tell segments that differ from segments that happen to look different.
# - Turn an effect into a decision that names what is still open.
#
# **Minutes.** 45
#
# **Prerequisites.** The notebooks "What a real e-mail campaign did" and "What to test, on whom, with how many?".
#
# **Data.** Cookie Cats: 90,189 players of a mobile game, and Hillstrom's e-mail challenge: 64,000 customers.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import custseg as cs

cs.notebook.setup()

# %% [markdown]
# Four exercises stand in this notebook. An answer is checked on the spot, and a wrong one gets a
# hint. The version without solutions is in the folder `exercises`.

# %% [markdown]
# ## A gate in a game
#
# In Cookie Cats players meet a gate: they wait, or pay. Half of the new players met it at level 30,
# as before, the others at level 40. Do fewer of them leave? What counts is who comes back after a
# day, after a week, and how much they play.
#
# Before looking we also say what would not matter: half a percentage point of those who come back
# after a week. That is the margin.

# %%
players = cs.datasets.load_cookie_cats()
halves = {"gate_30": 0.5, "gate_40": 0.5}
gates = cs.CampaignTest(
    arm="version",
    control="gate_30",
    metrics={
        "day 1": cs.Proportion("retention_1"),
        "day 7": cs.Proportion("retention_7", margin=0.005),
        "rounds": cs.Mean("sum_gamerounds"),
    },
    allocation=halves,
    customer_id="userid",
).analyze(players)

# %% [markdown]
# ### Checks first
#
# An effect is the difference of two groups that differ in nothing else. So first: are they what was
# planned?

# %%
done = gates.checks["status"] != "not checked"
print("not checked:", ", ".join(gates.checks.loc[~done, "check"]))
gates.checks.loc[done, ["check", "what", "p_value", "status"]].round(3)

# %%
gates.srm.plot()
cs.notebook.describe_figure()
plt.show()

# %% [markdown]
# Nobody is in both arms, and no outcome is missing. But the arm with the gate at level 30 is 789
# players smaller. A fair coin does that in fewer than nine of a thousand tests: suspect, not
# proof. Four checks could not be done, because the table knows nothing of the time before and has
# no dates. "Not checked" is not "ok".
#
# Now the effects, with that in mind:

# %%
columns = ["metric", "arm", "control", "treatment", "effect", "ci_low", "ci_high", "p_value"]
gates.to_frame()[columns].round(3)

# %% [markdown]
# With the later gate .8 points fewer come back after a week, and the interval stays below zero. On
# the next day, and in rounds, nothing is clear. Most reports on this test end here: keep the gate at
# level 30.
#
# What if the 789 are not a whim of the coin? Say that as many players of the first arm were lost
# from the table, because somebody logged only those who went on playing. Then the first arm looks
# better than it was.

# %% [markdown]
# ### Exercise 1
#
# Add 789 players to the arm `gate_30`, none of whom came back after a week. What is the p-value of
# the effect on day 7 then? Guess first: still below .05?

# %%
p_with_lost = ...  # your answer, between 0 and 1
# solution
# hint: pd.concat players and a frame of 789 rows with version "gate_30" and retention_7 False.
lost = pd.DataFrame({"version": "gate_30", "retention_7": False}, index=range(789))
with_lost = cs.CampaignTest(
    arm="version",
    control="gate_30",
    metrics={"day 7": cs.Proportion("retention_7")},
    allocation=halves,
).analyze(pd.concat([players[["version", "retention_7"]], lost]))
p_with_lost = with_lost.to_frame()["p_value"].iloc[0]

# %%
cs.notebook.check("11-1", p_with_lost)

# %% tags=["solution"]
with_lost.to_frame()[columns].round(3)

# %% [markdown] tags=["solution"]
# .057. Less than one player in a hundred is enough to take the finding away, if those who were lost
# are of the worst kind. They need not be. But whoever says "p = .0016" and not "suspect ratio" has
# said half.

# %% [markdown]
# ### A check that looks in the wrong place
#
# Where are the 789? It is tempting to look for them by how much people played:

# %%
classes = pd.cut(
    players["sum_gamerounds"],
    [-1, 0, 29, 39, np.inf],
    labels=["no round", "1 to 29 rounds", "30 to 39 rounds", "40 rounds or more"],
)
played = cs.CampaignTest(
    arm="version",
    control="gate_30",
    metrics={"day 7": cs.Proportion("retention_7")},
    segments=classes.set_axis(players["userid"]),
    allocation=halves,
    customer_id="userid",
).analyze(players)
played.srm.by_segment.round(3)

# %%
pd.crosstab(classes, players["version"])

# %% [markdown]
# A mismatch among those with 30 to 39 rounds, and it points the other way: there the arm with the
# gate at level 30 is larger. But these classes are made from what players did after they had been
# assigned. Whoever gives up at the first gate ends in this class with one gate and not with the
# other. So the mismatch may be an effect of the test, not a fault of it, and effects within such
# classes compare unlike players. Segments must be known before.
#
# ### Rounds: one number, four questions
#
# One player has 49,854 rounds, and the next one fewer than 3,000. The mean of rounds asks
# about totals, so this player counts. Other metrics ask something else:

# %%
players["sum_gamerounds"].nlargest(3).tolist()

# %%
rounds = cs.CampaignTest(
    arm="version",
    control="gate_30",
    metrics={
        "mean": cs.Mean("sum_gamerounds"),
        "mean, capped": cs.Mean("sum_gamerounds", winsorize=0.999),
        "median": cs.campaigns.Quantile("sum_gamerounds", 0.5),
        "rank": cs.campaigns.Rank("sum_gamerounds"),
    },
    allocation=halves,
).analyze(players)
rounds.to_frame()[["metric", "control", "treatment", "effect", "se", "p_value"]].round(3)

# %% [markdown]
# Capped at the 99.9% quantile, the effect nearly vanishes and its standard error halves: most of
# the difference of the means was one player. The rank says that a player with the later gate
# plays more than one with the earlier in 49.6 of 100 pairs, where 50 is no difference. Nobody may
# choose among the four after having seen them.

# %% [markdown]
# ### What follows
#
# Not "is there a difference", but "is the later gate harmless?" was the question of the margin:

# %%
gates.margins.round(3)

# %%
gates.plot(metric="day 7")
cs.notebook.describe_figure()
plt.show()

# %% [markdown]
# It is not shown to be harmless: the estimate itself is beyond the margin of half a point. So the
# gate stays where it is, since moving it needs a proof that it does no harm. And somebody
# looks into the logs, because the claim that the later gate does harm stands on a
# suspect ratio. The two sentences need different evidence.

# %% [markdown]
# ## Two e-mails
#
# Hillstrom sent a third of his customers an e-mail with men's clothes, a third one with women's
# clothes, and nothing to the rest. Everything is stated before: three metrics, of which `spend`
# decides, segments by last year's money, and columns in which the arms must agree.

# %%
customers = cs.datasets.load_hillstrom()
known = ["recency", "history", "mens", "womens", "newbie", "zip_code", "channel"]
emails = {
    "arm": "segment",
    "control": "No E-Mail",
    "allocation": {"No E-Mail": 1 / 3, "Mens E-Mail": 1 / 3, "Womens E-Mail": 1 / 3},
}
metrics = {
    "visit": cs.Proportion("visit"),
    "conversion": cs.Proportion("conversion"),
    "spend": cs.Mean("spend"),
}
by_money = cs.CampaignTest(
    metrics=metrics,
    segments="history_segment",
    checks=cs.campaigns.Checks(balance=known),
    **emails,
).analyze(customers)

# %%
by_money.checks.groupby(["check", "status"], sort=False).size().rename("rows").reset_index()

# %%
by_money.plot(show="checks")
cs.notebook.describe_figure()
plt.show()

# %% [markdown]
# This is how it should look: the arms have their sizes, in each segment too, and no column differs by
# more than a fiftieth of a standard deviation. The effects may be read.

# %%
effects = by_money.to_frame()
overall = effects[effects["segment"] == "(all)"]
overall[[*columns[:-1], "se", "p_holm"]].round(3)

# %% [markdown]
# Of a thousand customers 77 more visit with the men's e-mail and 45 more with the women's; 7 and 3
# more buy; a customer spends 77 and 42 cents more. Holm's correction is over the two e-mails, within
# a metric. Between metrics there is none, so it had to be said which one decides.
#
# ### Sharper with the past?
#
# What customers spent before may explain part of what they spend now. If so, taking it out (CUPED)
# makes the interval narrower for nothing.

# %%
past = {"spend": cs.Mean("spend"), "spend, adjusted": cs.Mean("spend", covariate="history")}
adjusted = cs.CampaignTest(metrics=past, **emails).analyze(customers)
adjusted.to_frame()[["metric", "arm", "effect", "se", "ci_low", "ci_high"]].round(3)

# %%
print(next(note for note in adjusted.notes if "adjusting" in note))

# %% [markdown]
# The standard errors agree to the third digit. 99 of 100 customers bought nothing in these two
# weeks, and last year's money does not say who did. The adjustment is right and useless, and the
# note says so.

# %% [markdown]
# ### Exercise 2
#
# The adjustment leaves 1 − ρ² of the variance, where ρ is the correlation of past and present spend
# within arms. How large must ρ be for intervals that are a fifth narrower?

# %%
rho = ...  # your answer, between 0 and 1
# solution
# hint: the width is that of the root of the variance: solve sqrt(1 - rho**2) = 0.8.
rho = np.sqrt(1 - 0.8**2)

# %%
cs.notebook.check("11-2", rho)

# %% tags=["solution"]
in_control = customers[customers["segment"] == "No E-Mail"]
print(f"needed {rho:.2f}, found {in_control['history'].corr(in_control['spend']):.2f}")

# %% [markdown] tags=["solution"]
# .6. Such correlations are had with weekly habits: visits to an app, baskets of a supermarket. Not
# with rare purchases.

# %% [markdown]
# ## By segment
#
# ### Fourteen tests
#
# Seven classes and two e-mails are fourteen effects on spend.

# %%
rows = effects[(effects["metric"] == "spend") & (effects["segment"] != "(all)")]
rows[["segment", "arm", "effect", "p_value", "p_holm", "p_bh"]].round(3)

# %%
(rows[["p_value", "p_holm", "p_bh"]] < 0.05).sum()

# %% [markdown]
# Eight, none, six: three counts of the same fourteen rows. Uncorrected, nobody controls anything.
# Holm guards against a single false find, Benjamini and Hochberg keep false finds to a twentieth of
# all finds. Neither answers what we want to know: do the classes differ?

# %% [markdown]
# ### The best of many
#
# The largest of fourteen effects is largest partly by luck. `effect_shrunk` pulls each towards the
# mean of the segments, the further the less it knows itself.

# %%
by_money.plot(metric="spend", shrunk=True)
cs.notebook.describe_figure()
plt.show()

# %% [markdown]
# Should we believe the pale or the dark ones? Here is a trial: split the customers in two by lot,
# take the best of fourteen in one half, and look at the same class and e-mail in the other. Twenty
# times.

# %%
spend_only = cs.CampaignTest(
    metrics={"spend": cs.Mean("spend")}, segments="history_segment", **emails
)
rng = np.random.default_rng(0)
trials = []
for _ in range(20):
    first = rng.random(len(customers)) < 0.5
    told, held = (
        spend_only.analyze(customers[half]).to_frame().set_index(["segment", "arm"])
        for half in (first, ~first)
    )
    best = told.drop("(all)")["effect"].idxmax()
    trials.append([told["effect"][best], told["effect_shrunk"][best], held["effect"][best]])
trials = pd.DataFrame(trials, columns=["promised", "shrunk", "in the other half"])
trials.mean().round(2)

# %%
ax = trials.plot.scatter(x="promised", y="in the other half", figsize=(6, 3.6), label="raw")
trials.plot.scatter(x="shrunk", y="in the other half", color="C1", label="shrunk", ax=ax)
ax.axline((0, 0), slope=1, color="0.6", linewidth=1)
ax.set(xlabel="effect of the best segment, dollars")
cs.notebook.describe_figure()
plt.show()

# %% [markdown]
# Whoever reports the best segment promises 3.73 dollars, and .24 came. The shrunk effect promises a
# quarter of that, and lies much closer to what came. Points on the line would have kept their
# promise. The blue ones even fall: what one half has too much of, the other lacks, for both are from
# one table. That makes the means rough, but not so rough as to save the raw promise.

# %% [markdown]
# ### Do they differ at all?
#
# One test answers that, and it has to name its scale. On the scale of differences it asks whether
# equally many visits or dollars come per customer. On log-odds, whether chances are raised alike.

# %%
by_money.heterogeneity.round(3)

# %% [markdown]
# By past money: hardly. Three of ten p-values fall a little below .05, two on conversion and one on
# spend, all for the women's e-mail, and corrected for the two e-mails none is left. The spread in
# the picture above is little more than chance makes around two effects.
#
# Another division is closer to what was sent: what customers bought last year, men's goods, women's
# goods, or both. It was known before the e-mails went out, so the comparison is fair. But we think
# of it only now, after one division that showed nothing, and a third and a fourth would make a find
# by luck likely. Only a clear result counts here.

# %%
bought_both = (customers["mens"] == 1) & (customers["womens"] == 1)
customers["bought"] = np.select(
    [bought_both, customers["mens"] == 1], ["both", "men's goods"], "women's goods"
)
by_goods = cs.CampaignTest(metrics=metrics, segments="bought", **emails).analyze(customers)
by_goods.srm.by_segment.round(3)

# %%
by_goods.plot(metric="visit")
cs.notebook.describe_figure()
plt.show()

# %%
by_goods.heterogeneity.round(3)

# %% [markdown]
# The women's e-mail brings 74 more visits per thousand customers who bought women's goods, and 11
# per thousand who bought men's. Both scales agree: these segments differ.
#
# The men's e-mail is where the scales part. On differences the segments clearly differ, on log-odds
# they do not. Both are right: those who bought both visit nearly twice as often anyway, and the e-mail
# raises everybody's odds alike, which brings more visits where there were more. To count visits, take
# differences. To ask whether some people respond differently, take odds.
#
# On spend, no difference is clear: money is too noisy for that.

# %% [markdown]
# ### What the effect is made of
#
# The share of a segment times its effect is what it adds to the effect on everybody.

# %%
by_goods.plot(show="contributions", metric="visit")
cs.notebook.describe_figure()
plt.show()

# %% [markdown]
# ### Exercise 3
#
# Which share of the visits that the women's e-mail brought comes from customers who had bought
# women's goods only? Read it off the picture first.

# %%
share_of_visits = ...  # your answer, between 0 and 1
# solution
# hint: in by_goods.decomposition, divide the contribution by the sum of all of that arm and metric.
parts = by_goods.decomposition
parts = parts[(parts["metric"] == "visit") & (parts["arm"] == "Womens E-Mail")]
parts = parts.set_index("segment")["contribution"]
share_of_visits = parts["women's goods"] / parts.sum()

# %%
cs.notebook.check("11-3", share_of_visits)

# %% tags=["solution"]
parts.round(3)

# %% [markdown] tags=["solution"]
# 73%, from 45% of the customers. The row `(mix)` is what unlike shares of the segments in the arms
# add: next to nothing, as it must be after a fair lot.

# %% [markdown]
# ## Which e-mail for whom?
#
# Both e-mails beat silence. Which beats the other is a comparison of its own. How likely is each arm
# to be the best in money, and what does choosing it cost if it is not?

# %%
posterior = by_goods.posterior[by_goods.posterior["metric"] == "spend"]
posterior[["segment", "arm", "mean", "ci_low", "ci_high", "p_best", "expected_loss"]].round(3)

# %% [markdown]
# For customers of women's goods it is a coin toss, and a wrong choice costs cents either way: the
# expected loss is below ten cents per customer. For the other two the men's e-mail is the best with
# 95% and more.

# %% [markdown]
# ### Exercise 4
#
# Money is noisy, visits are not. In which segments do the two e-mails differ clearly in visits,
# after Holm's correction?

# %%
clearly_different = ...  # your answer, a list of segments
# solution
# hint: the same test with control "Womens E-Mail"; keep the rows of the men's e-mail.
against_womens = cs.CampaignTest(
    metrics={"visit": cs.Proportion("visit")},
    segments="bought",
    **(emails | {"control": "Womens E-Mail"}),
).analyze(customers)
between = against_womens.to_frame()
between = between[(between["arm"] == "Mens E-Mail") & (between["segment"] != "(all)")]
clearly_different = between.loc[between["p_holm"] < 0.05, "segment"].tolist()

# %%
cs.notebook.check("11-4", clearly_different)

# %% tags=["solution"]
between[["segment", "control", "treatment", "effect", "ci_low", "ci_high", "p_holm"]].round(3)

# %% [markdown] tags=["solution"]
# Those with men's goods and with both: six points more visits with the men's e-mail. For women's
# goods the two e-mails are alike to within a point and a half.

# %% [markdown]
# ### In money
#
# Of a dollar spent 30 cents stay, and an e-mail costs 10 cents, its share of the work included. The
# brief says what counts and what must not suffer.

# %%
brief = cs.Brief(
    goal="choose who gets which e-mail", success_metric="spend", guardrails=("visit", "returns")
)
decision = by_goods.decision(brief, value=0.3, cost=0.1)
print(decision.summary())

# %%
decision.plot()
cs.notebook.describe_figure()
plt.show()

# %%
money = ["segment", "arm", "net", "net_ci_low", "net_ci_high", "roi", "p_pays", "verdict"]
decision.to_frame()[money].round(2)

# %%
for note in decision.notes:
    print("-", note)

# %% [markdown]
# The effect of the women's e-mail on spend is clearly above zero, and whether the e-mail pays is
# open. "It works" and "it is worth it" are two questions. The men's e-mail is shown to pay for
# everybody and in no single segment: a segment has fewer customers, and "open" is no reason to leave
# it out. And a guardrail that nobody measured protects nothing.

# %% [markdown]
# ## Key points
#
# - Checks come before effects. A suspect sample ratio does not refute a finding; it says how little is
#   needed to lose it.
# - Segments are made from what was known before. Those made from outcomes show "mismatches" that are
#   effects, and effects that are not.
# - A covariate helps by as much as it explains. On rare purchases that is nothing.
# - The best of many segments promises too much. Shrink it, and ask first whether segments differ, on a
#   named scale.
# - Harmless, effective and worth it are three questions with three answers.
#
# ## Decision
#
# The men's e-mail goes to everybody who bought men's goods or both. What do you send to customers
# of women's goods, and which test would you run before you pay for a second e-mail?

# %% tags=["nbval-ignore-output"]
cs.notebook.session_info()
