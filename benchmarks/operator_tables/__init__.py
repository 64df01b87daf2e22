"""Made-up tables of an operator, written by somebody who did not know the generators.

    from benchmarks.operator_tables import TABLES
    frame = TABLES["op_bills"].make()

Each is made from a fixed seed. Flat tables have no key; tables of events name their subject and
their time. Names begin with `op_`, so that none is that of a reference set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from . import (
    alarms,
    business,
    call_records,
    calls,
    clicks,
    counters,
    devices,
    recharges,
    sessions,
    sites,
    stays,
    subscribers,
    tickets,
    usage,
)


@dataclass(frozen=True)
class MadeTable:
    """How one table is made, and what an owner would say of it."""

    make: Callable[[], pd.DataFrame]
    key: str | None = None  # names the subject of each event
    time: str | None = None
    csv: bool = False  # kept as CSV, so that its types have to be found out; else as Parquet


TABLES = {
    "op_site_inventory": MadeTable(sites.site_inventory, csv=True),
    "op_b2b_contracts": MadeTable(business.b2b_contracts),
    "op_trouble_tickets": MadeTable(tickets.trouble_tickets, csv=True),
    "op_devices": MadeTable(devices.devices, csv=True),
    "op_churn": MadeTable(subscribers.churn),
    "op_call_records": MadeTable(call_records.call_records, csv=True),
    "op_cell_kpi": MadeTable(counters.cell_kpi),
    "op_bills": MadeTable(business.bills, csv=True),
    "op_cdr": MadeTable(calls.cdr, "subscriber_id", "start_time"),
    "op_stays": MadeTable(stays.stays, "device", "arrival", csv=True),
    "op_data_sessions": MadeTable(sessions.data_sessions, "imsi", "start_epoch"),
    "op_daily_usage": MadeTable(usage.daily_usage, "sub_id", "usage_date", csv=True),
    "op_recharges": MadeTable(recharges.recharges, "account", "event_ts"),
    "op_alarms": MadeTable(alarms.alarms, "site", "event_time"),
    "op_clicks": MadeTable(clicks.clicks, "user", "ts"),
}
