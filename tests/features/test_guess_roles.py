"""Roles guessed from the exports that people have, from real data, and how far to trust them."""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import custseg as cs
from custseg import errors
from custseg.features.journey_map import journey_map
from custseg.features.journeys import journey_features
from custseg.features.roles import RoleGuess, guess_roles

TABLES = {
    "transactions": cs.Transactions,
    "touchpoints": cs.Touchpoints,
    "survey": cs.Survey,
    "experiment": cs.Experiment,
    "customers": cs.Customers,
}


class Shape(NamedTuple):
    """An export: its kind, and for each role the columns that are right."""

    frame: pd.DataFrame
    kind: str | None
    roles: dict[str, Any]


def pick(rng: np.random.Generator, options: list[Any], n: int, p: Any = None) -> np.ndarray:
    return rng.choice(np.array(options, dtype=object), n, p=p)


def sold(seed: int = 0, n_orders: int = 140) -> pd.DataFrame:
    """Return order lines of 60 customers: what the exports below are made of."""
    rng = np.random.default_rng(seed)
    order = np.repeat(np.arange(n_orders), rng.integers(1, 4, n_orders))
    customer = rng.integers(0, 60, n_orders)[order]
    seconds = np.sort(rng.integers(0, 400 * 86_400, n_orders))[order]
    product = rng.integers(0, 25, len(order))
    names = [
        f"{a} {b}"
        for a in ("Red", "Blue", "Big", "Old", "Soft")
        for b in ("Mug", "Rug", "Lamp", "Bag", "Pen")
    ]
    price = np.round(rng.uniform(2, 80, 25), 2)[product]
    quantity = rng.integers(1, 6, len(order))
    lines = pd.DataFrame(
        {
            "order": order,
            "customer": customer,
            "email": [f"user{c}@example.com" for c in customer],
            "time": pd.Timestamp("2023-01-02 08:00") + pd.to_timedelta(seconds, "s"),
            "sku": [f"SKU-{100 + p}" for p in product],
            "name": [names[p] for p in product],
            "category": [("Kitchen", "Living", "Office", "Bath", "Garden")[p % 5] for p in product],
            "quantity": quantity,
            "price": price,
            "amount": np.round(quantity * price, 2),
            "channel": pick(rng, ["web", "store", "app"], n_orders)[order],
            "country": pick(rng, ["DE", "FR", "UK"], 60)[customer],
        }
    )
    lines["total"] = lines.groupby("order")["amount"].transform("sum").round(2)
    lines["first"] = ~lines["order"].duplicated()
    return lines


def per_order(seed: int = 0) -> pd.DataFrame:
    lines = sold(seed)
    return lines[lines["first"]].reset_index(drop=True)


def events(seed: int = 1, n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "user": rng.integers(0, 50, n),
            "time": pd.Timestamp("2024-02-01")
            + pd.to_timedelta(np.sort(rng.integers(0, 90 * 86_400, n)), "s"),
            "event": pick(
                rng,
                ["page_view", "view_item", "add_to_cart", "purchase", "session_start"],
                n,
                [0.4, 0.25, 0.1, 0.05, 0.2],
            ),
            "medium": pick(rng, ["organic", "cpc", "email", "(none)", "referral"], n),
            "source": pick(rng, ["google", "newsletter", "(direct)", "bing"], n),
            "device": pick(rng, ["mobile", "desktop", "tablet"], n),
            "country": pick(rng, ["Germany", "France"], n),
            "session": rng.integers(10**9, 2 * 10**9, n),
        }
    )


def answers(seed: int = 2, n: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({f"Q{i}": rng.integers(1, 8, n) for i in range(1, 7)})
    frame["nps"] = rng.choice(
        11, n, p=[0.02, 0.02, 0.02, 0.03, 0.03, 0.08, 0.1, 0.15, 0.2, 0.2, 0.15]
    )
    frame["csat"] = rng.integers(1, 6, n)
    frame["ces"] = rng.integers(1, 8, n)
    frame["comment"] = (
        pick(
            rng,
            [
                "Fast delivery and good quality",
                "Too expensive for me",
                "Very friendly service in the shop",
                "I could not find my size",
                "Nothing to complain about",
            ],
            n,
        )
        + pick(rng, [" overall.", ", again.", ".", " this time.", " as ever."], n)
        + pick(rng, [" Thanks.", " I will be back.", ""], n)
    )
    frame["time"] = pd.Timestamp("2024-05-01 09:00") + pd.to_timedelta(
        rng.integers(0, 14 * 86_400, n), "s"
    )
    frame["who"] = rng.permutation(np.arange(1_000, 1_000 + n))
    return frame


# Exports as people have them; wrapped by hand, because a column a line would be 1,500 lines.
# fmt: off

def uci_online_retail() -> Shape:
    x = sold()
    frame = pd.DataFrame({"InvoiceNo": 536365 + x["order"], "StockCode": x["sku"].str[4:] + "A",
        "Description": x["name"].str.upper(), "Quantity": x["quantity"], "InvoiceDate": x["time"],
        "UnitPrice": x["price"], "CustomerID": (17000.0 + x["customer"]).mask(x["order"] % 9 == 0),
        "Country": x["country"]})
    frame["InvoiceNo"] = frame["InvoiceNo"].astype("str")
    return Shape(frame, "transactions", {"customer_id": "CustomerID", "timestamp": "InvoiceDate",
        "order_id": "InvoiceNo", "product": ("StockCode", "Description"), "quantity": "Quantity",
        "unit_price": "UnitPrice"})


def uci_as_text() -> Shape:
    shape = uci_online_retail()
    frame = shape.frame.assign(InvoiceDate=shape.frame["InvoiceDate"].dt.strftime("%m/%d/%Y %H:%M"))
    return Shape(frame, *shape[1:])


def cdnow() -> Shape:
    x = per_order()
    frame = pd.DataFrame({"customer_id": x["customer"].map("{:05d}".format),
        "date": x["time"].dt.strftime("%Y%m%d").astype("int64"), "number_of_cds": x["quantity"],
        "dollar_value": x["total"]})
    return Shape(frame, "transactions", {"customer_id": "customer_id", "timestamp": "date",
        "quantity": "number_of_cds", "amount": "dollar_value"})


def shopify() -> Shape:
    x = sold()
    blank = x["first"]
    stamp = x["time"].dt.strftime("%Y-%m-%d %H:%M:%S -0400")
    frame = pd.DataFrame({"Name": "#" + (1001 + x["order"]).astype("str"), "Email": x["email"],
        "Financial Status": np.where(blank, "paid", None), "Paid at": stamp.where(blank),
        "Fulfillment Status": np.where(blank, "fulfilled", None),
        "Fulfilled at": stamp.where(blank), "Accepts Marketing": np.where(blank, "yes", None),
        "Currency": np.where(blank, "EUR", None), "Subtotal": x["total"].where(blank),
        "Shipping": (x["total"] * 0 + 4.9).where(blank),
        "Taxes": (x["total"] * 0.19).round(2).where(blank),
        "Total": (x["total"] + 4.9).where(blank), "Discount Code": None,
        "Discount Amount": (x["total"] * 0).where(blank), "Created at": stamp,
        "Lineitem quantity": x["quantity"], "Lineitem name": x["name"],
        "Lineitem price": x["price"], "Lineitem compare at price": None, "Lineitem sku": x["sku"],
        "Lineitem requires shipping": True, "Billing Name": ["Ann Example"] * len(x),
        "Billing Country": x["country"], "Id": (5000000000 + x["order"]).where(blank),
        "Source": np.where(blank, "web", None), "Vendor": "Example"})
    return Shape(frame, "transactions", {"customer_id": "Email", "timestamp": ("Created at",
        "Paid at"), "order_id": "Name", "product": ("Lineitem sku", "Lineitem name"),
        "quantity": "Lineitem quantity", "unit_price": "Lineitem price"})


def woocommerce() -> Shape:
    x = sold()
    frame = pd.DataFrame({"Order Number": 7000 + x["order"], "Order Status": "Completed",
        "Order Date": x["time"].dt.strftime("%Y-%m-%d %H:%M"), "Customer Note": None,
        "First Name (Billing)": "Ann", "Email (Billing)": x["email"],
        "Customer User ID": x["customer"] + 3, "Order Subtotal Amount": x["total"],
        "Order Shipping Amount": 4.9, "Order Total Amount": (x["total"] + 4.9).round(2),
        "Order Total Tax Amount": (x["total"] * 0.19).round(2), "SKU": x["sku"],
        "Item Name": x["name"], "Quantity": x["quantity"], "Item Cost": x["price"],
        "Coupon Code": None})
    return Shape(frame, "transactions", {"customer_id": ("Customer User ID", "Email (Billing)"),
        "timestamp": "Order Date", "order_id": "Order Number", "product": ("SKU", "Item Name"),
        "quantity": "Quantity", "unit_price": "Item Cost"})


def magento() -> Shape:
    x = sold()
    frame = pd.DataFrame({"item_id": np.arange(len(x)) + 90001,
        "increment_id": (100000000 + x["order"]).astype("str"),
        "created_at": x["time"].astype("str"),
        "updated_at": (x["time"] + pd.Timedelta("3D")).astype("str"), "customer_email": x["email"],
        "customer_id": x["customer"] + 11, "sku": x["sku"], "name": x["name"],
        "qty_ordered": x["quantity"].astype(float), "qty_shipped": x["quantity"].astype(float),
        "price": x["price"], "original_price": x["price"] * 1.1,
        "tax_amount": (x["amount"] * 0.19).round(2), "row_total": x["amount"],
        "grand_total": x["total"], "status": "complete"})
    return Shape(frame, "transactions", {"customer_id": ("customer_id", "customer_email"),
        "timestamp": "created_at", "order_id": "increment_id", "line_id": "item_id",
        "product": ("sku", "name"), "quantity": "qty_ordered", "unit_price": "price",
        "amount": "row_total"})


def salesforce() -> Shape:
    x = per_order()
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"Id": [f"0065g00000{i:04d}AAA" for i in range(len(x))],
        "AccountId": [f"0015g000{c:04d}XYZ" for c in x["customer"]],
        "Name": [f"Deal {i}" for i in range(len(x))], "StageName": pick(rng, ["Closed Won",
        "Closed Lost", "Prospecting"], len(x)), "Amount": (x["total"] * 100).round(),
        "Probability": rng.choice([0, 50, 100], len(x)), "CloseDate": x["time"].dt.normalize(),
        "CreatedDate": x["time"] - pd.Timedelta("40D"),
        "LastModifiedDate": x["time"] + pd.Timedelta("2D"), "OwnerId": pick(rng, ["0055gA",
        "0055gB"], len(x)), "IsWon": True})
    return Shape(frame, "transactions", {"customer_id": "AccountId", "timestamp": ("CloseDate",
        "CreatedDate"), "order_id": ("Id", "Name"), "line_id": "Id", "amount": "Amount"})


def generic() -> Shape:
    x = per_order()
    frame = pd.DataFrame({"cust_id": x["customer"], "order_dt": x["time"].dt.date.astype("str"),
        "amt": x["total"]})
    return Shape(frame, "transactions", {"customer_id": "cust_id", "timestamp": "order_dt",
        "amount": "amt"})


def german() -> Shape:
    x = sold()
    frame = pd.DataFrame({"Kundennummer": 40000 + x["customer"],
        "Bestellnummer": "B" + x["order"].astype("str"), "Bestelldatum": x["time"].dt.normalize(),
        "Artikelnummer": x["sku"], "Warengruppe": x["category"], "Menge": x["quantity"],
        "Einzelpreis": x["price"], "Betrag": x["amount"], "PLZ": 80331})
    return Shape(frame, "transactions", {"customer_id": "Kundennummer", "timestamp": "Bestelldatum",
        "order_id": "Bestellnummer", "product": "Artikelnummer", "category": "Warengruppe",
        "quantity": "Menge", "unit_price": "Einzelpreis", "amount": "Betrag"})


def stripe() -> Shape:
    x = per_order()
    frame = pd.DataFrame({"id": [f"ch_{i:06d}" for i in range(len(x))],
        "Created date (UTC)": x["time"].astype("str"), "Amount": x["total"], "Amount Refunded": 0.0,
        "Currency": "eur", "Description": "Subscription", "Fee": (x["total"] * 0.03).round(2),
        "Status": "Paid", "Customer ID": [f"cus_{c:04d}" for c in x["customer"]],
        "Customer Email": x["email"], "Captured": True})
    return Shape(frame, "transactions", {"customer_id": ("Customer ID", "Customer Email"),
        "timestamp": "Created date (UTC)", "order_id": "id", "line_id": "id", "amount": "Amount"})


def ga4_flat() -> Shape:
    x = events()
    frame = pd.DataFrame({"event_date": x["time"].dt.strftime("%Y%m%d"),
        "event_timestamp": x["time"].astype("datetime64[us]").astype("int64"),
        "event_name": x["event"], "event_value_in_usd": np.where(x["event"] == "purchase", 49.5,
        np.nan), "user_id": None,
        "user_pseudo_id": [f"{u * 7919 + 10 ** 9}.{u + 16 * 10 ** 8}" for u in x["user"]],
        "user_first_touch_timestamp": 1700000000000000 + x["user"], "device.category": x["device"],
        "geo.country": x["country"], "traffic_source.name": "(organic)",
        "traffic_source.medium": x["medium"], "traffic_source.source": x["source"],
        "platform": "WEB"})
    return Shape(frame, "touchpoints", {"customer_id": "user_pseudo_id",
        "timestamp": ("event_timestamp", "event_date"), "touchpoint": "event_name",
        "channel": ("traffic_source.medium", "traffic_source.source")})


def mixpanel() -> Shape:
    x = events()
    frame = pd.DataFrame({"event": x["event"].str.replace("_", " ").str.title(),
        "time": x["time"].astype("datetime64[s]").astype("int64"),
        "distinct_id": [f"{u:08x}-aa" for u in x["user"] * 99991], "$os": "iOS",
        "$city": x["country"], "utm_medium": x["medium"], "utm_source": x["source"],
        "mp_lib": "web"})
    return Shape(frame, "touchpoints", {"customer_id": "distinct_id", "timestamp": "time",
        "touchpoint": "event", "channel": ("utm_medium", "utm_source")})


def shop_log() -> Shape:
    x = events()
    rng = np.random.default_rng(9)
    frame = pd.DataFrame({"event_time": x["time"].dt.strftime("%Y-%m-%d %H:%M:%S UTC"),
        "event_type": x["event"].map({"page_view": "view", "view_item": "view",
        "add_to_cart": "cart", "purchase": "purchase", "session_start": "remove_from_cart"}),
        "product_id": rng.integers(1000, 1060, len(x)), "category_id": rng.integers(10 ** 12,
        10 ** 12 + 9, len(x)), "category_code": pick(rng, ["electronics.phone", "home.chair", None],
        len(x)), "brand": pick(rng, ["apple", "ikea", "acme"], len(x)),
        "price": np.round(rng.uniform(5, 900, len(x)), 2), "user_id": 5000 + x["user"],
        "user_session": x["session"].astype("str")})
    return Shape(frame, "touchpoints", {"customer_id": "user_id", "timestamp": "event_time",
        "touchpoint": "event_type"})


def crm_activities() -> Shape:
    x = events()
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"contact_id": 900 + x["user"], "activity_date": x["time"],
        "activity_type": pick(rng, ["Email opened", "Call", "Meeting", "Form submitted"], len(x)),
        "channel": pick(rng, ["email", "phone", "web"], len(x)), "lifecycle_stage": pick(rng,
        ["lead", "customer", "evangelist"], len(x)), "owner": pick(rng, ["Ann", "Bob"], len(x))})
    return Shape(frame, "touchpoints", {"customer_id": "contact_id", "timestamp": "activity_date",
        "touchpoint": "activity_type", "channel": "channel", "stage": "lifecycle_stage"})


def qualtrics() -> Shape:
    x = answers()
    frame = pd.DataFrame({"StartDate": x["time"].astype("str"),
        "EndDate": (x["time"] + pd.Timedelta("6min")).astype("str"), "Progress": 100,
        "Duration (in seconds)": 360, "Finished": True,
        "RecordedDate": (x["time"] + pd.Timedelta("7min")).astype("str"),
        "ResponseId": [f"R_{i:015d}" for i in range(len(x))],
        "ExternalReference": "C" + x["who"].astype("str"),
        **{f"Q2_{i}": x[f"Q{i}"] for i in range(1, 7)}, "NPS": x["nps"], "Q9_TEXT": x["comment"]})
    return Shape(frame, "survey", {"customer_id": "ExternalReference", "timestamp": ("RecordedDate",
        "EndDate", "StartDate"), "nps": "NPS", "comment": "Q9_TEXT",
        "items": tuple(f"Q2_{i}" for i in range(1, 7))})


def feedback_form() -> Shape:
    x = answers()
    frame = pd.DataFrame({"Customer number": x["who"], "Submitted at": x["time"],
        "How satisfied are you? (satisfaction)": x["csat"], "Customer effort": x["ces"],
        "Likelihood to recommend": x["nps"], "Comment": x["comment"]})
    return Shape(frame, "survey", {"customer_id": "Customer number", "timestamp": "Submitted at",
        "csat": "How satisfied are you? (satisfaction)", "ces": "Customer effort",
        "nps": "Likelihood to recommend", "comment": "Comment"})


def crm_contacts() -> Shape:
    rng = np.random.default_rng(6)
    n = 150
    frame = pd.DataFrame({"Customer ID": [f"C{i:05d}" for i in range(n)],
        "Birth date": pd.Timestamp("1970-01-01") + pd.to_timedelta(rng.integers(0, 12000, n), "D"),
        "Gender": pick(rng, ["f", "m"], n), "City": pick(rng, ["Bonn", "Ulm"], n),
        "Income": rng.integers(20000, 90000, n), "Newsletter": rng.random(n) < 0.4})
    return Shape(frame, "customers", {"customer_id": "Customer ID"})


def email_test() -> Shape:
    rng = np.random.default_rng(7)
    n = 300
    frame = pd.DataFrame({"user_id": np.arange(n) + 50, "variant": pick(rng, ["control",
        "treatment"], n),
        "assigned_at": pd.Timestamp("2024-03-01") + pd.to_timedelta(rng.integers(0, 5, n), "D"),
        "visits": rng.poisson(2, n), "converted": rng.integers(0, 2, n),
        "revenue": np.where(rng.random(n) < 0.9, 0, 35.5)})
    return Shape(frame, "experiment", {"arm": "variant", "customer_id": "user_id",
        "timestamp": "assigned_at"})


def weather() -> Shape:
    rng = np.random.default_rng(8)
    frame = pd.DataFrame({"station": pick(rng, ["A1", "B2"], 200), "temperature": rng.normal(15, 5,
        200).round(1), "wind": rng.gamma(2, 3, 200).round(1), "rain": rng.integers(0, 30, 200)})
    return Shape(frame, None, {})


def dunnhumby() -> Shape:  # days and weeks without a calendar
    x = sold(11)
    day = (x["time"] - x["time"].min()).dt.days + 1
    frame = pd.DataFrame({"household_key": x["customer"] + 1, "BASKET_ID": 26984851472 + x["order"],
        "DAY": day, "PRODUCT_ID": 825000 + x["sku"].str[4:].astype(int), "QUANTITY": x["quantity"],
        "SALES_VALUE": x["amount"], "STORE_ID": 300 + x["customer"] % 7, "RETAIL_DISC": 0.0,
        "TRANS_TIME": 1000 + x["order"], "WEEK_NO": day // 7 + 1})
    return Shape(frame, None, {})


def fashion_log() -> Shape:
    x = sold(12)
    frame = pd.DataFrame({"t_dat": x["time"].dt.strftime("%Y-%m-%d"),
        "customer_id": [f"{c * 7777777:016x}" for c in x["customer"]],
        "article_id": 663713001 + x["sku"].str[4:].astype(int),
        "price": (x["price"] / 590).round(4), "sales_channel_id": (x["channel"] == "web") + 1})
    return Shape(frame, "transactions", {"customer_id": "customer_id", "timestamp": "t_dat",
        "product": "article_id", "amount": "price", "channel": "sales_channel_id"})


def superstore() -> Shape:
    x = sold(13)
    frame = pd.DataFrame({"Row ID": np.arange(1, len(x) + 1),
        "Order ID": [f"CA-2023-{o:06d}" for o in x["order"]],
        "Order Date": x["time"].dt.strftime("%d/%m/%Y"),
        "Ship Date": (x["time"] + pd.Timedelta("4D")).dt.strftime("%d/%m/%Y"),
        "Ship Mode": "Standard", "Customer ID": [f"AA-{c:05d}" for c in x["customer"]],
        "Customer Name": [f"Person {c}" for c in x["customer"]], "Segment": "Consumer",
        "Region": x["country"], "Product ID": x["sku"], "Category": x["category"],
        "Product Name": x["name"], "Sales": (x["amount"] * 0.9).round(3), "Quantity": x["quantity"],
        "Discount": 0.1, "Profit": (x["amount"] * 0.2).round(3)})
    return Shape(frame, "transactions", {"customer_id": ("Customer ID", "Customer Name"),
        "timestamp": "Order Date", "order_id": "Order ID", "line_id": "Row ID",
        "product": ("Product ID", "Product Name"), "category": "Category", "quantity": "Quantity",
        "amount": "Sales", "discount": "Discount"})


def amazon_report() -> Shape:
    x = sold(14)
    stamp = x["time"].dt.strftime("%Y-%m-%dT%H:%M:%S+00:00")
    frame = pd.DataFrame({"amazon-order-id": [f"302-{o:07d}-1" for o in x["order"]],
        "purchase-date": stamp, "last-updated-date": stamp, "order-status": "Shipped",
        "sales-channel": "Amazon.de", "sku": x["sku"], "asin": "B00" + x["sku"],
        "quantity": x["quantity"], "currency": "EUR", "item-price": x["amount"],
        "item-tax": (x["amount"] * 0.19).round(2), "buyer-email": x["email"], "ship-city": "Bonn"})
    return Shape(frame, "transactions", {"customer_id": "buyer-email", "timestamp": "purchase-date",
        "order_id": "amazon-order-id", "product": ("sku", "asin"), "quantity": "quantity",
        "amount": "item-price"})


def point_of_sale() -> Shape:
    x = sold(15)
    frame = pd.DataFrame({"Date": x["time"].dt.strftime("%Y-%m-%d"),
        "Time": x["time"].dt.strftime("%H:%M:%S"), "Category": x["category"], "Item": x["name"],
        "Qty": x["quantity"].astype(float), "Price Point Name": "Regular", "SKU": x["sku"],
        "Gross Sales": x["amount"], "Discounts": 0.0, "Net Sales": x["amount"],
        "Tax": (x["amount"] * 0.07).round(2), "Transaction ID": [f"T{o:05d}x" for o in x["order"]],
        "Customer ID": [f"K{c:04d}" for c in x["customer"]], "Location": "Main street"})
    return Shape(frame, "transactions", {"customer_id": "Customer ID", "timestamp": "Date",
        "order_id": "Transaction ID", "product": ("SKU", "Item"), "category": "Category",
        "quantity": "Qty", "amount": ("Net Sales", "Gross Sales")})


def bank_card() -> Shape:
    x = per_order(16)
    frame = pd.DataFrame({"trx_id": np.arange(len(x)) + 10 ** 7,
        "card_no": [f"4000{c:012d}" for c in x["customer"]],
        "trx_ts": x["time"].astype("datetime64[ms]").astype("int64"), "merchant": x["name"],
        "mcc": 5411, "trx_amt": x["total"], "ccy": "EUR",
        "balance_after": (x["total"] * 30).round(2)})
    return Shape(frame, "transactions", {"customer_id": "card_no", "timestamp": "trx_ts",
        "order_id": "trx_id", "line_id": "trx_id", "amount": "trx_amt"})


def invoices() -> Shape:
    x = per_order(17)
    frame = pd.DataFrame({"Invoice number": [f"INV-{o:05d}" for o in x["order"]],
        "Issue date": x["time"].dt.normalize(),
        "Due date": x["time"].dt.normalize() + pd.Timedelta("30D"),
        "Client": [f"Company {c}" for c in x["customer"]], "Net amount": x["total"],
        "VAT": (x["total"] * 0.19).round(2), "Paid": True, "Salesperson": "Ann"})
    return Shape(frame, "transactions", {"customer_id": "Client", "timestamp": "Issue date",
        "order_id": "Invoice number", "line_id": "Invoice number", "amount": "Net amount"})


def matomo() -> Shape:
    x = events(18)
    frame = pd.DataFrame({"visitorId": [f"{u * 104729:016x}" for u in x["user"]],
        "serverTimestamp": x["time"].astype("datetime64[s]").astype("int64"),
        "actionType": x["event"].map({"page_view": "action", "view_item": "goal",
        "add_to_cart": "event", "purchase": "ecommerceOrder", "session_start": "search"}),
        "referrerType": x["medium"], "deviceType": x["device"], "visitCount": 1 + x["user"] % 9,
        "pageTitle": "Home"})
    return Shape(frame, "touchpoints", {"customer_id": "visitorId", "timestamp": "serverTimestamp",
        "touchpoint": "actionType", "channel": "referrerType"})


def segment_io() -> Shape:
    x = events(19)
    stamp = x["time"].dt.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    frame = pd.DataFrame({"messageId": [f"ajs-{i}" for i in range(len(x))],
        "anonymousId": [f"an-{u}" for u in x["user"]],
        "userId": [f"u{u}" if u % 5 else None for u in x["user"]], "event": x["event"],
        "timestamp": stamp, "receivedAt": stamp, "context.campaign.medium": x["medium"],
        "context.page.path": "/"})
    return Shape(frame, "touchpoints", {"customer_id": ("userId", "anonymousId"),
        "timestamp": ("timestamp", "receivedAt"), "touchpoint": "event",
        "channel": "context.campaign.medium"})


def mailing_log() -> Shape:
    x = events(20)
    frame = pd.DataFrame({"Email Address": [f"p{u}@example.com" for u in x["user"]],
        "Campaign": "Spring sale", "Action": x["event"].map({"page_view": "open",
        "view_item": "click", "add_to_cart": "bounce", "purchase": "unsubscribe",
        "session_start": "sent"}), "Timestamp": x["time"], "Url": "https://example.com"})
    return Shape(frame, "touchpoints", {"customer_id": "Email Address", "timestamp": "Timestamp",
        "touchpoint": "Action"})


def call_centre() -> Shape:
    x = events(21)
    frame = pd.DataFrame({"ticket_id": np.arange(len(x)) + 1, "client_no": 70000 + x["user"],
        "opened": x["time"], "contact_reason": pick(np.random.default_rng(3), ["delivery", "return",
        "invoice", "other"], len(x)), "channel": pick(np.random.default_rng(2), ["phone", "chat",
        "mail"], len(x)), "agent": "A7"})
    return Shape(frame, "touchpoints", {"customer_id": "client_no", "timestamp": "opened",
        "touchpoint": "contact_reason", "channel": "channel"})


def panel_survey() -> Shape:
    x = answers(22)
    frame = pd.DataFrame({"respondent_id": x["who"], "interview_date": x["time"].dt.normalize(),
        **{f"item_{i:02d}": x[f"Q{i}"] for i in range(1, 7)},
        "age": np.random.default_rng(1).integers(18, 80, len(x)), "weight": 1.0})
    return Shape(frame, "survey", {"customer_id": "respondent_id", "timestamp": "interview_date",
        "items": tuple(f"item_{i:02d}" for i in range(1, 7))})


def nps_tool() -> Shape:
    x = answers(23)
    frame = pd.DataFrame({"Email": [f"w{w}@example.com" for w in x["who"]], "Score": x["nps"],
        "NPS category": np.where(x["nps"] > 8, "promoter", "other"), "Feedback": x["comment"],
        "Responded at": x["time"]})
    return Shape(frame, "survey", {"customer_id": "Email", "timestamp": "Responded at",
        "nps": "Score", "comment": "Feedback"})


def price_test() -> Shape:
    rng = np.random.default_rng(24)
    n = 400
    frame = pd.DataFrame({"customer": np.arange(n) + 1, "test_cell": pick(rng, ["holdout", "A",
        "B"], n), "orders": rng.poisson(1, n), "profit": rng.normal(3, 1, n).round(2)})
    return Shape(frame, "experiment", {"arm": "test_cell", "customer_id": "customer"})


def members() -> Shape:
    rng = np.random.default_rng(25)
    n = 200
    frame = pd.DataFrame({"member_no": 10 ** 8 + np.arange(n),
        "joined": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, n), "D"),
        "tier": pick(rng, ["gold", "silver"], n), "points": rng.integers(0, 9000, n),
        "postcode": rng.integers(10000, 99999, n)})
    return Shape(frame, "customers", {"customer_id": "member_no"})


def stock_list() -> Shape:
    x = sold(26).drop_duplicates("sku")
    frame = pd.DataFrame({"sku": x["sku"], "name": x["name"], "category": x["category"],
        "price": x["price"], "stock": 40})
    return Shape(frame, None, {})


def order_items() -> Shape:
    x = sold(31)
    frame = pd.DataFrame({"id": np.arange(len(x)) + 1, "order_id": x["order"] + 1,
        "user_id": x["customer"] + 1, "product_id": x["sku"].str[4:].astype(int),
        "inventory_item_id": np.arange(len(x)) + 700, "status": "Complete",
        "created_at": x["time"].astype("str"), "shipped_at": x["time"].astype("str"),
        "delivered_at": None, "returned_at": None, "sale_price": x["price"]})
    return Shape(frame, "transactions", {"customer_id": "user_id", "timestamp": "created_at",
        "order_id": "order_id", "line_id": ("id", "inventory_item_id"), "product": "product_id",
        "amount": "sale_price"})


def site_events() -> Shape:
    x = events(32)
    frame = pd.DataFrame({"id": np.arange(len(x)), "user_id": x["user"],
        "sequence_number": 1 + np.arange(len(x)) % 9, "session_id": x["session"].astype("str"),
        "created_at": x["time"], "ip_address": "10.0.0.1", "city": x["country"],
        "browser": "Chrome", "traffic_source": x["source"], "uri": "/home",
        "event_type": x["event"]})
    return Shape(frame, "touchpoints", {"customer_id": "user_id", "timestamp": "created_at",
        "touchpoint": "event_type", "channel": "traffic_source"})


def marketplace_orders() -> Shape:
    x = sold(33)
    frame = pd.DataFrame({"order_id": [f"{o * 99991:032x}" for o in x["order"]],
        "order_item_id": x.groupby("order").cumcount() + 1,
        "customer_id": [f"{o * 31337 + 5:032x}" for o in x["order"]],
        "customer_unique_id": [f"{c * 65537 + 9:032x}" for c in x["customer"]],
        "order_status": "delivered", "order_purchase_timestamp": x["time"].astype("str"),
        "order_approved_at": x["time"].astype("str"),
        "order_delivered_customer_date": (x["time"] + pd.Timedelta("8D")).astype("str"),
        "order_estimated_delivery_date": (x["time"] + pd.Timedelta("9D")).astype("str"),
        "product_id": x["sku"], "seller_id": "s1", "price": x["price"], "freight_value": 12.5,
        "product_category_name": x["category"]})
    return Shape(frame, "transactions", {"customer_id": "customer_unique_id",
        "timestamp": "order_purchase_timestamp", "order_id": "order_id", "product": "product_id",
        "category": "product_category_name", "amount": "price"})


def payments() -> Shape:
    x = per_order(34)
    frame = pd.DataFrame({"Date": x["time"].dt.strftime("%d.%m.%Y"),
        "Time": x["time"].dt.strftime("%H:%M:%S"), "TimeZone": "CET",
        "Name": [f"Person {c}" for c in x["customer"]], "Type": "Website Payment",
        "Status": "Completed", "Currency": "EUR", "Gross": x["total"],
        "Fee": -(x["total"] * 0.03).round(2), "Net": (x["total"] * 0.97).round(2),
        "From Email Address": x["email"], "Transaction ID": [f"9AB{o:06d}" for o in x["order"]],
        "Balance": x["total"].cumsum().round(2)})
    return Shape(frame, "transactions", {"customer_id": ("From Email Address", "Name"),
        "timestamp": "Date", "order_id": "Transaction ID", "line_id": "Transaction ID",
        "amount": ("Gross", "Net")})


def product_analytics() -> Shape:
    x = events(35)
    frame = pd.DataFrame({"$insert_id": [f"i{i}" for i in range(len(x))],
        "amplitude_id": 10 ** 11 + x["user"], "device_id": [f"d{u}" for u in x["user"]],
        "user_id": [f"user-{u}" for u in x["user"]], "event_time": x["time"].astype("str"),
        "client_upload_time": x["time"].astype("str"), "event_type": x["event"],
        "platform": x["device"], "country": x["country"], "version_name": "1.2"})
    return Shape(frame, "touchpoints", {"customer_id": ("user_id", "amplitude_id"),
        "timestamp": "event_time", "touchpoint": "event_type", "channel": "platform"})


def online_survey() -> Shape:
    x = answers(36)
    text = {i: f"How much do you agree: statement {i}?" for i in range(1, 7)}
    frame = pd.DataFrame({"Respondent ID": 11800000000 + x["who"], "Collector ID": 3,
        "Start Date": x["time"].dt.strftime("%m/%d/%Y %I:%M:%S %p"),
        "End Date": x["time"].dt.strftime("%m/%d/%Y %I:%M:%S %p"),
        **{text[i]: x[f"Q{i}"] for i in text}, "Any other comments?": x["comment"]})
    return Shape(frame, "survey", {"customer_id": "Respondent ID", "timestamp": ("Start Date",
        "End Date"), "comment": "Any other comments?", "items": tuple(text.values())})


def landing_page_test() -> Shape:
    rng = np.random.default_rng(37)
    n = 350
    group = pick(rng, ["control", "treatment"], n)
    frame = pd.DataFrame({"user_id": rng.permutation(900000)[:n],
        "timestamp": (pd.Timestamp("2017-01-02") + pd.to_timedelta(rng.integers(0, 10 ** 6, n),
        "s")).astype("str"), "group": group, "landing_page": np.where(group == "control",
        "old_page", "new_page"), "converted": rng.integers(0, 2, n)})
    return Shape(frame, "experiment", {"customer_id": "user_id", "timestamp": "timestamp",
        "arm": ("group", "landing_page")})


def telecom_customers() -> Shape:
    rng = np.random.default_rng(38)
    n = 200
    frame = pd.DataFrame({"customerID": [f"{i:04d}-QX" for i in range(n)], "gender": pick(rng,
        ["Male", "Female"], n), "SeniorCitizen": rng.integers(0, 2, n), "tenure": rng.integers(0,
        72, n), "Contract": pick(rng, ["Month-to-month", "One year"], n),
        "MonthlyCharges": rng.uniform(18, 118, n).round(2), "TotalCharges": rng.uniform(18, 8000,
        n).round(2), "Churn": pick(rng, ["Yes", "No"], n)})
    return Shape(frame, "customers", {"customer_id": "customerID"})


def grocery_orders() -> Shape:  # weekdays and hours without a date
    x = per_order(39)
    frame = pd.DataFrame({"order_id": x["order"], "user_id": x["customer"], "eval_set": "prior",
        "order_number": 1 + x.groupby("customer").cumcount(), "order_dow": x["time"].dt.day_of_week,
        "order_hour_of_day": x["time"].dt.hour, "days_since_prior_order": 7.0})
    return Shape(frame, None, {})


def exchange_rates() -> Shape:
    rng = np.random.default_rng(40)
    frame = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=200), "currency": "USD",
        "rate": rng.uniform(1, 1.2, 200)})
    return Shape(frame, None, {})


SHAPES: list[Callable[[], Shape]] = [uci_online_retail, uci_as_text, cdnow, shopify, woocommerce,
    magento, salesforce, generic, german, stripe, ga4_flat, mixpanel, shop_log, crm_activities,
    qualtrics, feedback_form, crm_contacts, email_test, weather, dunnhumby, fashion_log, superstore,
    amazon_report, point_of_sale, bank_card, invoices, matomo, segment_io, mailing_log, call_centre,
    panel_survey, nps_tool, price_test, members, stock_list, order_items, site_events,
    marketplace_orders, payments, product_analytics, online_survey, landing_page_test,
    telecom_customers, grocery_orders, exchange_rates]
# fmt: on


@cache
def guessed(make: Callable[[], Shape]) -> RoleGuess:
    return guess_roles(make().frame)


def is_right(shape: Shape, role: str, column: str) -> bool:
    right = shape.roles.get(role, ())
    return column in ((right,) if isinstance(right, str) else right)


@pytest.mark.parametrize("make", SHAPES, ids=lambda make: make.__name__)
def test_what_counts_is_right_and_makes_a_table(make: Callable[[], Shape]) -> None:
    shape = make()
    guess = guessed(make)
    assert guess.kind == shape.kind
    sure = guess.to_frame().query("confidence >= 0.5")
    wrong = [
        (row.role, row.column)
        for row in sure.itertuples()
        if not is_right(shape, row.role, row.column)
    ]
    assert wrong == []
    assert set(guess.roles) == set(sure["role"])
    if guess.kind is None:
        assert guess.roles == {}
        return
    unparsed = [note for note in guess.notes if "must become a time first" in note]
    if unparsed:
        with pytest.raises(errors.DataError, match=r"to_datetime"):
            TABLES[guess.kind](shape.frame, **guess.roles)
        name = guess.roles["timestamp"]
        parsed = pd.to_datetime(shape.frame[name], format="mixed", dayfirst=True)
        shape = shape._replace(frame=shape.frame.assign(**{name: parsed}))
    table = TABLES[guess.kind](shape.frame, **guess.roles)
    assert table.audit().rows_in == len(shape.frame)


NOT_FOUND = {
    ("matomo", "channel"),  # referrerType: a name that says nothing of channels
    ("call_centre", "touchpoint"),  # contact_reason
    ("nps_tool", "nps"),  # Score: could be any score
}


@pytest.mark.parametrize("make", SHAPES, ids=lambda make: make.__name__)
def test_what_is_there_is_found(make: Callable[[], Shape]) -> None:
    shape = make()
    missed = {(make.__name__, role) for role in shape.roles} - {
        (make.__name__, role) for role in guessed(make).roles
    }
    alone = {(make.__name__, "line_id")}  # where every order is one row, no line needs a number
    assert missed <= NOT_FOUND | alone


def test_guesses_are_right_at_least_as_often_as_they_say() -> None:
    rows = []
    for make in SHAPES:
        shape = make()
        rows += [
            (row.confidence, is_right(shape, row.role, row.column))
            for row in guessed(make).to_frame().itertuples()
        ]
    said = pd.DataFrame(rows, columns=["confidence", "right"])
    bins = pd.cut(said["confidence"], [0, 0.5, 0.7, 0.8, 0.9, 1.0])
    by_bin = said.groupby(bins, observed=True).agg(
        {"confidence": "mean", "right": ["mean", "size"]}
    )
    assert by_bin["right", "size"].min() >= 5
    count = by_bin.iloc[1:]
    assert (count["right", "mean"] >= count["confidence", "mean"]).all()
    assert by_bin["right", "mean"].iloc[0] < 0.5  # what does not count is mostly wrong


def test_values_overrule_names() -> None:
    lines = sold()
    frame = pd.DataFrame(
        {
            "user": lines["customer"],
            "date": lines["time"],
            "quantity": lines["name"],
            "price": lines["channel"],
            "amount": lines["amount"],
            "nps": 50,
        }
    )
    guess = guess_roles(frame)
    assert guess.roles == {"customer_id": "user", "timestamp": "date", "amount": "amount"}


def test_the_total_of_an_order_is_no_amount_of_a_line() -> None:
    lines = sold()
    roles = {"customer": "customer_id", "time": "timestamp", "order": "order_id"}
    frame = lines[[*roles, "sku", "total"]].rename(columns=roles)
    guess = guess_roles(frame).to_frame().set_index("role")
    assert guess.empty or guess.loc["amount", "confidence"] < 0.5
    single = guess_roles(frame.drop_duplicates("order_id"))
    assert single.roles["amount"] == "total"


def test_a_price_that_grows_with_the_quantity_is_an_amount() -> None:
    lines = sold().rename(columns={"customer": "customer_id", "time": "date"})
    columns = ["customer_id", "date", "sku", "quantity"]
    whole = guess_roles(lines[columns].assign(price=lines["amount"])).roles
    piece = guess_roles(lines[columns].assign(price=lines["price"])).roles
    assert whole["amount"] == "price"
    assert piece["unit_price"] == "price"
    assert "amount" not in piece


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
def test_time_since_1970_is_recognised_and_read(unit: str) -> None:
    visits = events()
    numbers = visits["time"].astype(f"datetime64[{unit}]").astype("int64")
    frame = pd.DataFrame({"user_id": visits["user"], "ts": numbers, "event": visits["event"]})
    guess = guess_roles(frame)
    assert guess.roles["timestamp"] == "ts"
    table = cs.Touchpoints(frame, **guess.roles)
    assert table.audit().rows_used == len(frame)


def test_a_web_analytics_export_goes_all_the_way_to_a_journey_map() -> None:
    export = ga4_flat().frame
    table = cs.Touchpoints(export, **guess_roles(export).roles)
    stages = {
        "look": ["session_start", "page_view"],
        "consider": ["view_item", "add_to_cart"],
        "buy": ["purchase"],
    }
    features = journey_features(table, stages=stages)
    assert features["contacts"].sum() == len(export)
    bought = export.loc[export["event_name"] == "purchase", "user_pseudo_id"].unique()
    assert set(features.index[features["stage_buy_reached"] == 1]) == set(bought)
    found = journey_map(table, stages=stages, silence=30)
    assert found.states == ("look", "consider", "buy")
    assert found.account["used"] == len(export)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=10)
def test_the_order_of_rows_and_columns_changes_no_confidence(seed: int) -> None:
    frame = magento().frame
    rng = np.random.default_rng(seed)
    shuffled = frame.sample(frac=1, random_state=seed)[list(rng.permutation(frame.columns))]
    first, second = guess_roles(frame), guess_roles(shuffled)
    assert first.kind == second.kind
    assert first.roles == second.roles
    ordered = [guess.to_frame().set_index("role")["confidence"] for guess in (first, second)]
    pd.testing.assert_series_equal(*ordered)


def test_names_without_meaning_give_nothing() -> None:
    frame = sold().set_axis([f"x{i}" for i in range(sold().shape[1])], axis=1)
    guess = guess_roles(frame)
    assert guess.kind is None
    assert guess.roles == {}
    assert "no raw table" in guess.summary()


def test_what_is_lacking_is_named() -> None:
    (note,) = guess_roles(cdnow().frame.rename(columns={"customer_id": "who"})).notes
    assert note.startswith("closest to transactions (timestamp='date'")
    assert "no column stands out as customer_id" in note


def test_an_open_order_list_says_that_rows_must_be_chosen() -> None:
    assert any(
        "'StageName' says which rows" in note for note in guess_roles(salesforce().frame).notes
    )


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(errors.DataError, match="no rows"):
        guess_roles(generic().frame.head(0))


def test_the_picture_has_a_bar_per_guess() -> None:
    guess: RoleGuess = guess_roles(german().frame)
    ax = guess.plot()
    assert len(ax.patches) == len(guess.to_frame())
    np.testing.assert_allclose(
        [bar.get_width() for bar in ax.patches], guess.to_frame()["confidence"]
    )


def test_the_tables_of_the_shop_are_recognised(shop: "cs.datasets.Shop") -> None:
    kinds = {"campaign": "experiment"}
    for name in ("customers", "transactions", "touchpoints", "survey", "campaign"):
        guess = guess_roles(getattr(shop, name))
        assert guess.kind == kinds.get(name, name)
        single = {role: column for role, column in guess.roles.items() if role != "items"}
        assert all(column in (role, "responded", "exposed") for role, column in single.items())
    asked = guess_roles(shop.survey).roles["items"]
    assert asked == [name for name in shop.survey if name[-2:] in ("_1", "_2", "_3", "_4")] + [
        name for name in shop.survey if name.startswith("benefit_")
    ]


RETAIL = {"timestamp": "InvoiceDate", "product": "StockCode", "quantity": "Quantity"}
REAL = {
    "online_retail": (
        "transactions",
        RETAIL | {"customer_id": "CustomerID", "order_id": "InvoiceNo", "unit_price": "UnitPrice"},
    ),
    "online_retail_ii_2009_2010": (
        "transactions",
        RETAIL | {"customer_id": "Customer ID", "order_id": "Invoice", "unit_price": "Price"},
    ),
    "cdnow_master": (
        "transactions",
        {
            "customer_id": "customer_id",
            "timestamp": "date",
            "quantity": "number_of_cds",
            "amount": "dollar_value",
        },
    ),
    "cdnow_sample": (None, {}),  # master_id or sample_id
    "cdnow_sample_summary": ("customers", {"customer_id": "ID"}),
    "hillstrom": ("experiment", {"arm": "segment"}),
    "cookie_cats": ("experiment", {"arm": "version", "customer_id": "userid"}),
    "marketing_campaign": ("customers", {"customer_id": "ID"}),
    "mall_customers": ("customers", {"customer_id": "CustomerID"}),
    "mcdonalds": (None, {}),
    "wholesale_customers": (None, {}),
    "bank_marketing_full": (None, {}),
    "online_shoppers_intention": (None, {}),
}


@pytest.mark.realdata
@pytest.mark.parametrize("name", REAL)
def test_real_data_are_recognised_or_left_alone(name: str) -> None:
    frame = cs.datasets.load_dataset(name)
    guess = guess_roles(frame)
    kind, roles = REAL[name]
    assert (guess.kind, guess.roles) == (kind, roles)
    if kind:
        some = frame.head(1_000)
        assert TABLES[kind](some, **guess.roles).audit().rows_in == len(some)
