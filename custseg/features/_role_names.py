"""What columns are called: for each role, names with how much they say, and words against it."""

import re
from collections.abc import Mapping
from typing import NamedTuple


class Names(NamedTuple):
    """Names that speak for a role, each with a weight up to 1, and words that speak against it."""

    weights: Mapping[str, float]
    against: frozenset[str] = frozenset()


def _names(**by_weight: str) -> dict[str, float]:
    """Return name -> weight from ``w95="order_id invoice"``."""
    return {
        name: int(weight[1:]) / 100 for weight, text in by_weight.items() for name in text.split()
    }


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MONEY_AGAINST = _words(
    "refund refunded tax taxes vat shipping freight fee fees discount tip gift balance income "
    "score age compare original list msrp budget probability expected currency payable deposit"
)
_TIME_AGAINST = _words(
    "birth birthday dob updated modified edited delivered delivery shipped shipping fulfilled "
    "cancelled canceled refunded due expiry expires estimated first last previous signup sign "
    "joined registered limit approved offset zone zip dispatch"
)

ROLE_NAMES: dict[str, Names] = {
    "customer_id": Names(
        _names(
            w97="customer_unique_id user_pseudo_id",
            w95="customer_id cust_id user_id customer_no customer_number customer_key member_id "
            "household_key client_id kundennummer kunden_no kunden_id id_client cliente_id "
            "shopper_id buyer_id subscriber_id distinct_id visitor_id full_visitor_id card_number "
            "customer_code customer_user_id loyalty_id",
            w90="account_id customer kunde client contact_id user user_key external_customer_id "
            "person_id household_id respondent_id participant_id",
            w80="customer_email email buyer_email recipient_email email_address external_reference "
            "external_data_reference account_name customer_name account member anonymous_id "
            "company_id",
            w40="id",
        ),
        _words("session first last since count type segment note group postcode city category"),
    ),
    "timestamp": Names(
        _names(
            w95="timestamp event_timestamp event_time order_date invoice_date transaction_date "
            "purchase_date order_datetime order_purchase_timestamp order_dt created_at paid_at "
            "order_timestamp bestelldatum purchased_at transaction_timestamp occurred_at "
            "server_timestamp responded recorded_date submitted_at sale_date ordered_at",
            w90="date datetime time dt ts close_date datum t_dat created create_time purchase_time "
            "submit_date end_date response_date completed sent_at exposed assigned_at created_date "
            "date_created date_submitted",
            w80="event_date start_date day_date start_time sent assigned posted period",
            w50="at day",
        ),
        _TIME_AGAINST,
    ),
    "order_id": Names(
        _names(
            w95="order_id order_no order_number invoice_no invoice invoice_id invoice_number "
            "transaction_id receipt_id receipt_no basket_id bill_no increment_id order_key "
            "bestellnummer rechnungsnummer opportunity_id ticket_no",
            w85="order receipt bill basket purchase_id transaction sales_order deal_id cart_id",
            w60="name",
            w50="id",
        ),
        _words("date status count total amount item line first last product billing shipping user"),
    ),
    "line_id": Names(
        _names(
            w90="line_id order_line_id order_item_id lineitem_id row_id line_item_id "
            "invoice_line_id",
            w70="item_id line_no line",
            w50="id",
        ),
    ),
    "product": Names(
        _names(
            w95="product_id sku product_code stock_code article_id item_sku asin product_sku "
            "product item_code artikelnummer upc article lineitem_sku",
            w85="product_name item_name lineitem_name item title artikel item_id",
            w45="description name",
        ),
        _words("category type price quantity count customer account order brand group"),
    ),
    "category": Names(
        _names(
            w95="category product_category product_category_name category_name category_code "
            "product_type warengruppe item_category department product_group",
            w75="category_id sub_category subcategory commodity_desc product_family",
            w50="type group",
        ),
        _words("customer account device user event action price age"),
    ),
    "channel": Names(
        _names(
            w95="channel sales_channel order_channel channel_grouping default_channel_group "
            "sales_channel_id utm_medium contact_channel purchase_channel",
            w90="medium channel_id channel_name",
            w65="source order_source utm_source platform traffic_source",
        ),
        _words("acquisition first"),
    ),
    "quantity": Names(
        _names(
            w95="quantity qty qty_ordered units quantity_ordered menge anzahl order_quantity "
            "item_quantity units_sold",
            w80="pieces number_of_items item_count number_of",
            w45="count number",
        ),
        _words("refunded shipped canceled invoiced visits sessions days returned sum"),
    ),
    "unit_price": Names(
        _names(
            w95="unit_price price_per_unit item_price price_each einzelpreis sale_price "
            "selling_price",
            w85="price item_cost preis list_price",
        ),
        _MONEY_AGAINST | _words("total sum original"),
    ),
    "amount": Names(
        _names(
            w95="amount amt line_total row_total sales_amount sales_value revenue order_value "
            "net_amount total_amount dollar_value betrag umsatz line_amount transaction_amount "
            "payment_value order_amount gross_amount purchase_amount total_price",
            w85="total sales value spend grand_total order_total turnover subtotal paid net_sales",
            w75="gross net",
            w60="price sale_price item_price selling_price",
            w50="sum",
        ),
        _MONEY_AGAINST,
    ),
    "discount": Names(
        _names(w90="discount discount_rate discount_share discount_pct rabatt", w70="reduction"),
        _words("code name type"),
    ),
    "touchpoint": Names(
        _names(
            w95="touchpoint event_name event_type action_type activity_type interaction_type "
            "event touch_type contact_type touchpoint_type",
            w85="action activity interaction event_action engagement_type",
            w45="type name page",
        ),
        _words("id category label value time date count param params product"),
    ),
    "stage": Names(
        _names(
            w95="stage journey_stage funnel_stage lifecycle_stage stage_name customer_stage",
            w75="phase funnel_step step",
        ),
    ),
    "nps": Names(
        _names(
            w95="nps nps_score net_promoter_score likelihood_to_recommend recommend q_nps",
            w80="recommendation promoter_score ltr would_recommend",
            w45="score",
        ),
        _words("group category type comment reason segment"),
    ),
    "csat": Names(
        _names(
            w95="csat csat_score satisfaction overall_satisfaction customer_satisfaction",
            w80="satisfied satisfaction_score",
        ),
        _words("comment reason group level"),
    ),
    "ces": Names(
        _names(
            w95="ces ces_score customer_effort_score customer_effort", w80="effort effort_score"
        ),
        _words("comment reason group"),
    ),
    "comment": Names(
        _names(
            w95="comment comments feedback verbatim open_comment free_text",
            w75="text review remark remarks reason suggestions other_text",
        ),
        _words("count id date"),
    ),
    "arm": Names(
        _names(
            w95="arm variant variation test_group experiment_group treatment_group ab_group "
            "treatment exp_group campaign_arm assignment ab_variant",
            w85="group version cell condition bucket",
            w55="segment test offer campaign",
        ),
        _words("age customer product user name id history income size"),
    ),
}

_SAME = {
    **dict.fromkeys(("nr", "num", "number", "nbr"), "no"),
    **dict.fromkeys(("trx", "txn", "trans"), "transaction"),
    "cust": "customer",
    "amt": "amount",
    "qty": "quantity",
    "dt": "date",
    "ts": "timestamp",
    "prod": "product",
    "cat": "category",
    "desc": "description",
    "inv": "invoice",
}
"""Short forms and what they stand for."""

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def words_of(column: str) -> list[str]:
    """Return the words of a column name in lower case, short forms written out.

    Examples
    --------
    >>> words_of("CustomerID"), words_of("traffic_source.medium"), words_of("Cust. nr")
    (['customer', 'id'], ['traffic', 'source', 'medium'], ['customer', 'no'])
    """
    words = (word.lower() for word in re.findall(r"[^\W_]+", _CAMEL.sub(" ", str(column))))
    return [_SAME.get(word, word) for word in words]


def name_weight(column: str, role: str) -> tuple[float, str]:
    """Return how much a column's name speaks for a role, from 0 to 1, and the name it resembles.

    The whole name counts most, then a name that it ends with, then one that it contains; a word
    that speaks against the role takes nearly all of it away.

    Examples
    --------
    >>> name_weight("CustomerID", "customer_id"), name_weight("Lineitem quantity", "quantity")
    ((0.95, 'customer_id'), (0.874, 'quantity'))
    >>> name_weight("Tax amount", "amount")
    (0.0874, 'amount')
    """
    words = words_of(column)
    whole, names = "".join(words), ROLE_NAMES[role]
    best, like = 0.0, ""
    for name, weight in names.weights.items():
        parts = words_of(name)
        if whole == "".join(parts):
            found = weight
        elif words[-len(parts) :] == parts:
            found = weight * (0.92 if weight >= 0.7 else 0.5)
        elif any(words[i : i + len(parts)] == parts for i in range(len(words))):
            found = weight * (0.75 if weight >= 0.7 else 0.4)
        else:
            continue
        if found > best:
            best, like = found, name
    against = names.against & (set(words) - set(words_of(like)))
    return round(best * (0.1 if against else 1), 4), like
