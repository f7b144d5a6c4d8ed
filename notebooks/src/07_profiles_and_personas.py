# %% [markdown]
# # Who are they?
#
# **Question.** What can be said of each segment, to whom, and without claiming more than the data say?
#
# **Objectives.**
#
# - Tell what made the segments from what is news about them, and test only the news.
# - See why neither the usual test nor a held-out half may judge what made the segments.
# - Find customers of a segment by rules and by three questions, and know whom these misplace.
# - Follow every sentence of a card and of a persona back to the customers.
#
# **Minutes.** 50
#
# **Prerequisites.** The notebook "Is it real, and how many?".
#
# **Data.** The simulated retailer that comes with custseg: the survey, the orders and the January campaign.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from scipy.stats import ttest_ind
from sklearn.cluster import KMeans
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

import custseg as cs

cs.notebook.setup()

# %% [markdown]
# Five exercises stand in this notebook. An answer is checked on the spot, and a wrong one gets a
# hint. The version without solutions is in the folder `exercises`.

# %% [markdown]
# ## What customers want
#
# Until now the shop was divided by what customers do. This time we ask what they want. In a survey
# 1,982 customers rated from 1 to 7 how important six benefits are to them. Before anybody looks,
# we write down what for:

# %%
brief = cs.Brief(
    goal="choose what each segment is offered in spring",
    success_metric="spend",
    min_share=0.10,
)

# %%
shop = cs.datasets.load_shop()
answers = shop.survey.set_index("customer_id")
ratings = [column for column in answers if column.startswith("benefit_")]
survey = cs.Survey(
    shop.survey, customer_id="customer_id", timestamp="responded", items=ratings, nps="nps"
)
wants = cs.features.survey_features(survey, importance=ratings, importance_as="centered")
wants = wants.rename(columns=lambda name: name.removeprefix("benefit_"))
needs = [name.removeprefix("benefit_") for name in ratings]
wants[needs].head(3).round(2)

# %% [markdown]
# Some people find everything important. So each person's mean rating is taken off: 2 says "two
# points more important to me than the average benefit". What else is known of the same customers
# stands beside it: orders, attributes, the ratings as they were given, and comments.

# %%
roles = {name: name for name in ("customer_id", "timestamp", "order_id", "line_id", "product")}
orders = cs.Transactions(shop.transactions, quantity="quantity", amount="amount", **roles).clean()
bought = cs.features.rfm(orders, as_of="2024-12-31").rename(columns={"monetary": "spend"})
people = shop.customers.set_index("customer_id").drop(columns="sign_up")
customers = wants.join([bought, people, answers[[*ratings, "comment"]]], how="inner")
print(f"{len(customers):,} customers answered and have bought")

# %%
model = cs.clustering.SegmentationModel(
    "kmeans", n_segments=4, variables=needs, order_by="low_price", random_state=0
).fit(customers)
firm = cs.evaluation.stability(
    model.encoder_.transform(customers[needs]), model.estimator_, n_resamples=40
)
print(firm.summary())
model.sizes_.round(3)

# %% [markdown]
# Four segments come back when other customers are drawn; with five they no longer do. Gaps there
# are none, as so often: this is a firm cut through a crowd, and we keep it in mind.

# %% [markdown]
# ## What made them
#
# A profile holds two lists of columns apart. **Variables** made the segments. **Descriptors** had no
# part in it. First the variables:

# %%
of_needs = cs.profiling.profile(customers, model.segments_, variables=needs)
marked = cs.profiling.markers(of_needs)
marked

# %%
marked.plot()
cs.notebook.describe_figure()
plt.show()

# %% [markdown]
# A star, and a coloured bar, is a marker: half a standard deviation from the average, by more than
# its interval. Read it like this: **A** wants low prices and no trouble, and can do without advice
# or quality. **B** wants low prices as well, cares least of all for a large range, and rather has
# somebody to ask. **C** wants to choose, and the price comes later. **D** wants advice and quality
# and will go to some trouble for them. Letters are forgotten by tomorrow, so the segments get names:

# %%
names = {"A": "Quick bargain", "B": "Guided bargain", "C": "Wide choice", "D": "Good counsel"}
segments = model.rename(names).segments_

# %% [markdown]
# ### Where is the p-value?
#
# The profile has intervals, and no test. It says why:

# %%
print(of_needs.notes[1])

# %% [markdown]
# Is that not over-careful? Wide choice and Good counsel differ by more than half a point in quality.
# The usual test says:

# %%
quality = customers["quality"]
usual = ttest_ind(
    quality[segments == "Wide choice"], quality[segments == "Good counsel"], equal_var=False
)
print(f"p = {usual.pvalue:.0e}")

# %% [markdown]
# Before we are impressed, we let the same test look at customers of whom we know that there is only
# one kind. These are 300 tables of 200 customers with two columns, all drawn from one round cloud,
# each cut in two by k-means.

# %%
rng = np.random.default_rng(0)
clouds = [pd.DataFrame(rng.normal(size=(200, 2)), columns=["x", "y"]) for _ in range(300)]
two = KMeans(2, n_init=1, random_state=0)


def p_between(values, labels):
    return ttest_ind(values[labels == 0], values[labels == 1], equal_var=False).pvalue


# %%
naive = pd.Series([p_between(cloud["x"], two.fit_predict(cloud)) for cloud in clouds])
print(f"p < .05 on x in {(naive < 0.05).mean():.0%} of the tables")

# %%
figure, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
sns.histplot(x=naive, binwidth=0.05, binrange=(0, 1), ax=ax)
ax.axhline(len(clouds) / 20, color="0.25", linewidth=1)
ax.set(xlabel="p-value of the usual test, one kind of customer", ylabel="tables")
cs.notebook.describe_figure(figure)
plt.show()

# %% [markdown]
# A test that keeps its word would fill all bars up to the line. This one says "differ" in nine
# tables of ten, though nobody differs. The cut put high values on one side and low ones on the
# other, and the test found them there.

# %% [markdown]
# ### Exercise 1
#
# "Then learn the segments on one half of the customers and test on the other!" Decide before you
# count: does it help? Let `two` be fitted to the first 100 customers of each cloud, put the other
# 100 into its segments with `two.predict`, and test x on these 100 only. In which share of tables
# is p below .05?

# %%
held_out_share = ...  # your answer, between 0 and 1
# solution
# hint: two.fit(cloud[:100]), then p_between(cloud["x"][100:], two.predict(cloud[100:])).
held_out = pd.Series(
    [p_between(cloud["x"][100:], two.fit(cloud[:100]).predict(cloud[100:])) for cloud in clouds]
)
held_out_share = (held_out < 0.05).mean()

# %%
cs.notebook.check("07-1", held_out_share)

# %% tags=["solution"]
print(f"p < .05 on x in {held_out_share:.0%} of the tables")

# %% [markdown] tags=["solution"]
# It hardly helps. The border was drawn by others, but the customers of the second half are sorted by *their own
# values*, and then compared on these values. Who draws the border does not matter. What matters is
# that the values which sort are the values which are tested.

# %% [markdown]
# ## Honest differences
#
# Three tests allow for the sorting. *Thinning* adds noise to each customer and takes it off again:
# segments are learned from one version and compared on the other, which knows nothing of the first.
# *Reference* cuts clouds without groups in the same way, and asks whether they differ as much.
# *Selective* moves two segments apart and together, and compares with those distances at which
# k-means would have found the same two. Here are three of the clouds, and one table in
# which two groups were planted five standard deviations apart:

# %%
planted = pd.DataFrame(rng.normal(size=(200, 2)), columns=["x", "y"])
planted["x"] += 5 * (np.arange(200) % 2)
tables = {f"cloud {number}": clouds[number] for number in range(3)} | {"two groups": planted}
p_values = {}
for name, table in tables.items():
    p_values[name] = {"usual": p_between(table["x"], two.fit_predict(table))}
    for method in ("thinning", "reference", "selective"):
        found = cs.profiling.honest_differences(two, table, method=method, n_draws=99)
        p_values[name][method] = found.to_frame().set_index("variable").loc["x", "p_value"]
pd.DataFrame(p_values).T.round(3)

# %% [markdown]
# The usual test cannot tell the clouds from the groups. The honest ones can. (.01 is the smallest
# p-value that 99 null tables allow.) Three clouds do not show that a test keeps its level; that takes
# a thousand, and is what `benchmarks/honest.py` counts.
#
# And our four segments? Benefits are rated, not measured, so their distribution is not normal; the
# reference with `null="copula"` keeps the distribution of each column and their correlations, and
# cuts customers without groups by our own model.

# %% [markdown]
# ### Exercise 2
#
# Decide first: on how many of the six needs do our segments differ by more than a cut of one
# crowd would, at 5%, adjusted for asking six times (`p_holm`)?

# %%
honest_needs = ...  # your answer, a whole number from 0 to 6
# solution
# hint: honest_differences(model, customers, method="reference", null="copula") has p_holm by need.
honest = cs.profiling.honest_differences(model, customers, method="reference", null="copula")
honest_needs = int((honest.to_frame().set_index("variable").loc[needs, "p_holm"] < 0.05).sum())

# %%
cs.notebook.check("07-2", honest_needs)

# %% tags=["solution"]
honest.to_frame()[["variable", "effect", "expected", "p_value", "p_holm"]].round(3)

# %% tags=["solution"]
honest.plot()
cs.notebook.describe_figure()
plt.show()

# %% [markdown] tags=["solution"]
# On one, quality. The upright ticks are what a cut of a crowd without groups brings by itself: k-means would have
# made four segments that differ by 64% in low price out of anybody. Ours differ by 66%. On quality
# they differ by five points more than they had to, and all six together are a little beyond chance.
# So the picture above is mostly our own work. That does not make the segments useless. It means that
# "D wants quality, p < .001" is no finding, and that what counts is still to come: whether these customers
# differ in something that we did *not* cut by.

# %% [markdown]
# ## What is news about them
#
# Descriptors had no part in the segments. A difference on them could have failed to be there, so
# it may be tested: each by a test that suits its kind, all adjusted for being asked together.

# %% [markdown]
# ### Exercise 3
#
# An agency sells addresses by age, gender, region, household and income band. From which of these
# five would you learn nothing about the segments? Decide first. Then name those of which
# the difference may be chance, at 5% after Holm's adjustment over the five.

# %%
for_sale = ["age", "gender", "region", "household", "income_band"]
nothing_learned = ...  # your answer, a list of words
# solution
# hint: profile(customers, segments, variables=needs, descriptors=for_sale).tests has p_holm.
offered = cs.profiling.profile(customers, segments, variables=needs, descriptors=for_sale).tests
nothing_learned = list(offered.index[offered["p_holm"] >= 0.05])

# %%
cs.notebook.check("07-3", nothing_learned)

# %% tags=["solution"]
offered[["test", "p_holm", "effect", "size", "ci_low", "ci_high"]].round(3)

# %% [markdown] tags=["solution"]
# Gender, region and household. With 1,912 customers even small differences would have shown, and the
# intervals of Cramér's V say how small they are at most. Age and income differ, but look at the
# sizes: segments explain 8% of the variation of age. "Significant" is not "recognisable".

# %%
known = ["age", "income_band", "acquisition_channel", "nps", "frequency", "spend"]
profile = cs.profiling.profile(customers, segments, variables=needs, descriptors=known)
figure, ax = plt.subplots(figsize=(9, 7), layout="constrained")
profile.plot(ax=ax)
cs.notebook.describe_figure(figure)
plt.show()

# %%
profile.tests[["test", "effect", "size", "ci_low", "ci_high"]].round(3)

# %% [markdown]
# The bars of the upper six rows are long because we made them so. Those below are short, and
# they are the news. Good counsel is older, earns more and recommends the shop more
# often. Quick bargain is younger and came through search and social media. Wide choice buys most often
# and spends most. None of that was put in.

# %% [markdown]
# ## Pictures that persuade too well
#
# The same numbers in two more pictures, each with a way to mislead. A *snake plot* draws a line
# per segment, and the eye sees a course where there is only our order of the rows. A *heat map* has no
# lines, but its colours make a small table look like a large difference.

# %%
of_names = cs.profiling.markers(
    cs.profiling.profile(customers, segments, variables=[*needs, "age", "nps", "spend"])
)
of_names.plot(kind="snake")
cs.notebook.describe_figure()
plt.show()

# %%
of_names.plot(kind="heat")
cs.notebook.describe_figure()
plt.show()

# %% [markdown]
# The picture that persuades most is the one of segments in a plane. The plane in which segments
# differ most can be computed, and it shows islands. To see what such a picture is worth, we
# draw it of 120 customers with 80 columns of noise, and labels by lot:

# %%
noise = pd.DataFrame(rng.normal(size=(120, 80))).rename(columns="column {}".format)
lots = pd.Series(rng.choice(["red", "green", "blue"], size=120), name="segment")
islands = LinearDiscriminantAnalysis().fit(noise, lots).transform(noise)
honest_plane = cs.profiling.separation(noise, lots, method="discriminant")

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
sns.scatterplot(x=islands[:, 0], y=islands[:, 1], hue=lots, s=14, ax=axes[0])
axes[0].set_title("the usual picture of noise")
points = honest_plane.points
sns.scatterplot(
    x=points["axis_1"], y=points["axis_2"], hue=points["segment"].astype(str), s=14, ax=axes[1]
)
axes[1].set_title("axes from one half, customers from the other")
cs.notebook.describe_figure(figure)
plt.show()

# %% [markdown]
# Left, three kinds of customers. Right, none: the axes were learned from half of the customers, and
# the other half is drawn. Here a held-out half does help, because lots were drawn without looking at the
# values. Our own segments were made from the values, so that they stand apart in any half:

# %%
plane = cs.profiling.separation(customers, segments, variables=needs)
plane.plot()
cs.notebook.describe_figure()
plt.show()
plane.to_frame()[["n", "nearest", "nearer_other"]].round(2)

# %% [markdown]
# One crowd, cut in four. `nearer_other` is the share of a segment that stands nearer to
# another centre in this plane.

# %% [markdown]
# ## What they want, what they do
#
# The shop has another segmentation, by recency, frequency and spend (notebook "From raw records to
# a decision"). Do the two say the same? Then one of them is enough.

# %%
buying = cs.clustering.SegmentationModel(
    "kmeans",
    n_segments=4,
    variables=["recency", "frequency", "spend"],
    order_by="spend",
    random_state=0,
).fit(bought)
buying.rename({"A": "best", "B": "lapsing", "C": "light", "D": "one-off"})
buying.sizes_.join(buying.centers_).round(2)

# %%
crossed = cs.profiling.cross_classify(
    segments.rename("needs"), buying.segments_.rename("buying"), min_share=0.05
)
print(crossed.summary())
crossed.plot()
cs.notebook.describe_figure()
plt.show()

# %%
crossed.table

# %% [markdown]
# The picture is a mosaic: as wide as a segment of needs, as high as a way of buying, coloured
# where there are more or fewer customers than if the two had nothing to do with each other.
# Wide choice holds many of the best customers, Guided bargain few. Yet the adjusted Rand index is
# near zero: who knows how somebody buys knows little of what he wants. The two answer different
# questions, and neither replaces the other.
#
# Crossing them makes sixteen joint segments. Five of these are smaller than a twentieth of the
# customers, and nobody should plan a treatment for each of the others either.

# %% [markdown]
# ## Who belongs where
#
# Only those who answered the survey have a segment of needs. Can the others be placed? First with
# what the shop knows of everybody:

# %%
from_records = cs.profiling.describe_membership(
    customers, segments, variables=[*for_sale, "acquisition_channel", *bought.columns]
)
from_records.accuracy.round(2)

# %% [markdown]
# Four in ten, where putting everybody into the largest segment gets 28%. All accuracies are those of
# customers held out, and here that is honest: the question is whether their labels are hit, not
# whether they mean anything.
#
# Whoever wants to know what customers want has to ask. How many questions are needed? Asked are
# the ratings as they are given, since nobody can answer in points above his own mean.

# %%
asked = cs.profiling.describe_membership(customers, segments, variables=ratings, max_questions=3)
everything = cs.profiling.describe_membership(customers, segments, variables=ratings)
pd.DataFrame(
    {
        "three questions": asked.accuracy["accuracy"],
        "six questions": everything.accuracy["accuracy"],
    }
).round(2)

# %%
everything.questions["accuracy"].round(2)

# %% [markdown]
# Three questions put four in five right, and each further one adds a few points. Rules are shorter
# to tell than points, and worse:

# %%
for rule in asked.to_frame().query("kind == 'tree'").itertuples():
    print(f"{rule.segment}: {rule.rule.replace('benefit_', '')} ({rule.precision:.0%} right)")

# %% [markdown]
# Three questions fit on a sheet of paper at the till. Every answer gives points to each
# segment; the segment with most points is the customer's.

# %%
asked.typing_tool.points.set_index(["question", "answer"]).round(1) + 0

# %% [markdown]
# ### Exercise 4
#
# A customer at the till gives low prices 5 and advice 6, and shrugs at the range. No answer, no
# points. Add on paper: into which segment does she belong?

# %%
her_segment = ...  # your answer, the name of a segment
# solution
# hint: start plus two rows of points; asked.typing_tool.assign sums up, with NaN for the shrug.
at_the_till = pd.DataFrame(
    {"benefit_low_price": [5], "benefit_advice": [6], "benefit_range": [np.nan]}, index=["she"]
)
placed = asked.typing_tool.assign(at_the_till)
her_segment = str(placed["segment"].iloc[0])

# %%
cs.notebook.check("07-4", her_segment)

# %% tags=["solution"]
placed.round(2)

# %%
asked.plot()
cs.notebook.describe_figure()
plt.show()

# %% [markdown]
# Mistakes are made between neighbours, and asking more does not end them: some customers stand in
# between. These are those for whom, by all six ratings, the odds of their own segment
# are below two to one:

# %%
between = everything.borderline().sort_values("n", ascending=False)
print(f"{everything.customers['borderline'].mean():.0%} of the customers")
between.head(4).round(3)

# %% [markdown]
# ## Cards
#
# A card tells of a segment what can be told, and what is not known. This is one of four, of Good
# counsel:

# %%
cards = cs.profiling.segment_cards(
    customers,
    segments,
    variables=needs,
    descriptors=known[:4],
    value="spend",
    comments="comment",
    stability=firm,
    brief=brief,
)
said = cards.sentences.query("segment == 'Good counsel'")
for topic, sentences in said.groupby("topic", sort=False)["sentence"]:
    print(f"{topic}:", *sentences, sep="\n  ")

# %% [markdown]
# No sentence has a number of its own. Each quotes cells of a table at full precision, and says which:

# %%
worth = said.query("topic == 'what it is worth'").iloc[-1]
print(worth["sentence"])
cards.cells.loc[list(worth["cells"]), ["name", "kind", "value", "shown"]]

# %% [markdown]
# ### Exercise 5
#
# Do not believe the card. Compute from `customers` and `segments` which share of all spend comes from Good
# counsel, without the card.

# %%
share_of_spend = ...  # your answer, between 0 and 1
# solution
# hint: the sum of customers["spend"] where segments equals "Good counsel", over the sum of all.
spend_by_segment = customers["spend"].groupby(segments, observed=True).sum()
share_of_spend = spend_by_segment["Good counsel"] / spend_by_segment.sum()

# %%
cs.notebook.check("07-5", share_of_spend)

# %% tags=["solution"]
(spend_by_segment / spend_by_segment.sum()).round(3)

# %% [markdown]
# All four beside each other. The names behind the colons are those that the cards suggest from the
# two most marked traits; ours were chosen by hand, and say why they would be remembered.

# %%
cards.plot()
cs.notebook.describe_figure()
plt.show()

# %% [markdown]
# ## Personas
#
# A persona usually has a face, a first name and a hobby, and none of them is in the data. This one
# is a real customer, the one least unlike all others of the segment, and beside each of her traits
# stands how many share it.

# %%
told = cs.profiling.personas(
    customers,
    segments,
    variables=needs,
    descriptors=["age", "income_band", "acquisition_channel"],
    comments="comment",
    names={"Good counsel": "Asks before buying"},
)
about = told.sentences.query("segment == 'Good counsel'")
for topic, sentences in about.groupby("topic", sort=False)["sentence"]:
    print(f"{topic}:", *sentences, sep="\n  ")

# %% [markdown]
# She is 54, and the middle half of her segment is 41 to 57 years old: whoever writes to
# her age misses most of it. Her income band is no more frequent in the segment than elsewhere.
# The card counted 67 borderline customers and the persona 63: the card was also given what customers
# answered on recommending the shop, and who is in between depends on what is known.
#
# A table cannot be asked why. People can, and not only the typical ones: those in between
# tell what makes them hesitate. The list draws both, spread over gender, with reserves, and shows codes
# instead of ids.

# %%
invited = cs.profiling.recruiting_list(
    customers, segments, variables=needs, typical=3, borderline=2, reserves=1, spread_over="gender"
)
print(invited.summary())
invited.to_frame().query("segment == 'Good counsel'").drop(columns="segment")

# %%
invited.plot()
cs.notebook.describe_figure()
plt.show()

# %% [markdown]
# ## Is it good enough?
#
# Wedel and Kamakura ask six things of a segmentation. Each mark has its number. Responsiveness
# needs a campaign: in January customers got a discount, early access, or nothing, by lot, without
# regard to our segments. Quick bargain has no action planned yet.

# %%
test = cs.CampaignTest(
    arm="arm",
    control="control",
    metrics={"spend": cs.Mean("spend", covariate="pre_spend")},
    segments=segments,
    customer_id="customer_id",
    allocation={"control": 1 / 3, "discount": 1 / 3, "early_access": 1 / 3},
)
impact = test.analyze(shop.campaign[shop.campaign["customer_id"].isin(segments.index)])
actions = {
    "Quick bargain": None,
    "Guided bargain": "call from the store",
    "Wide choice": "early access",
    "Good counsel": "early access",
}
card = cs.profiling.scorecard(
    customers,
    segments,
    brief,
    variables=ratings,
    descriptors=[*for_sale, "acquisition_channel"],
    stability=firm,
    impact=impact,
    actions=actions,
)
print(card.summary())

# %%
card.plot()
cs.notebook.describe_figure()
plt.show()

# %%
effects = impact.to_frame().query("arm == 'early_access'").set_index("segment")
effects[["effect", "ci_low", "ci_high", "p_value", "p_holm"]].round(3)

# %% [markdown]
# Three marks are met, and the others say what is to be done. One segment of four has no action.
# The Rand index is above its bound, and its interval reaches below it. And responsiveness is open:
# Wide choice responds to early access (p = .03 after correction), Good counsel shows nothing. It is
# tempting to write "works for Wide choice, not for Good counsel". But that one p-value is small and
# another is large does not show that the two differ, and the test that asks this finds p = .21. Here, for once, the
# truth can be looked up:

# %%
truth = shop.truth.set_index("customer_id").loc[segments.index]
truth[["effect_discount", "effect_early_access"]].groupby(segments, observed=True).mean().round(1)

# %% [markdown]
# Early access is worth as much to Good counsel as to Wide choice. The campaign was too small to see
# it, and "no effect" would have been wrong. And the discount loses money on both, and earns some on
# the two that want low prices.

# %% [markdown]
# ## Whom to aim at
#
# What is attractive in a segment to us, and are we attractive to it? Some criteria are measured, some
# are judged from 1 to 10 in a meeting, best before anybody has seen the segments.

# %%
by_segment = customers.groupby(segments, observed=True)
attractive = pd.DataFrame(
    {
        "spend": by_segment["spend"].mean(),
        "customers": by_segment.size(),
        "room to grow": [3, 5, 6, 8],
    }
)
competitive = pd.DataFrame(
    {
        "recommend us": by_segment["nps"].mean(),
        "our range": [5, 6, 7, 6],
        "our staff": [5, 6, 6, 9],
    }
)
aims = cs.profiling.attractiveness(
    attractive,
    competitive,
    attractive_weights={"spend": 3, "customers": 1, "room to grow": 2},
    sizes=by_segment["spend"].sum(),
    rescale={"spend": "higher", "customers": "higher", "recommend us": "higher"},
)
aims.plot()
cs.notebook.describe_figure()
plt.show()

# %%
aims.to_frame().drop(columns="size", errors="ignore").round(2).T

# %% [markdown]
# Wide choice is the most attractive, and to Good counsel the shop is: between these two there is
# something to decide, and the other two are beaten on both sides. The ranges say how much hangs on
# a single criterion, and `most_attractive` how much on the weights: Wide choice comes first with 92% of all
# possible ones, so nobody has to quarrel about ours. About the judged scores somebody should.

# %% [markdown]
# ## Key points
#
# - What made the segments may be described, and not tested. On one kind of customer the usual test
#   says "differ" nine times in ten, and a held-out half hardly less often.
# - Honest tests compare with what the cut brings by itself. Here that was nearly all.
# - Descriptors are news, and may be tested. Read the size: significant is not recognisable.
# - Three questions place four customers in five. One in five stands in between two segments
#   whatever is asked, and is worth an interview.
# - A card quotes cells. What cannot be traced to customers does not belong on it.
# - That one segment responds and another does not show it, is no difference between them.
#
# ## Decision
#
# The agency offers addresses by age and income, the store manager three questions at the till. Which of
# them do you pay for, and what would you do for Quick bargain?

# %% tags=["nbval-ignore-output"]
cs.notebook.session_info()
