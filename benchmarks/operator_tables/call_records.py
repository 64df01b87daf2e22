"""Records of calls, messages and data as a mediation system writes them, without subscribers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ._draws import REGIONS, Rng, finished, labels, network, pick

ROWS = 52_000
VOICE, TEXT, DATA, PICTURE = range(4)
CONSUMER, BUSINESS, PREPAID = range(3)
DESTINATIONS = ("ONNET", "OFFNET", "FIXED", "INTL", "VM", "PREMIUM")
INTERNATIONAL, VOICE_MAIL, PREMIUM = 3, 4, 5
COUNTRIES = ("DE", "BE", "FR", "ES", "GB", "TR", "US", "CH", "TH")
COUNTRY_SHARE = (0.25, 0.2, 0.14, 0.15, 0.09, 0.06, 0.05, 0.04, 0.02)
OUTSIDE = ("TR", "US", "CH", "TH", "GB")  # roaming costs more there
ANSWERED, CUT, REJECTED = 16, 102, 38  # causes; 17 is busy, 19 no answer, 34 no channel
CAUSE_SHARES = [
    [0.71, 0.13, 0.12, 0.012, 0.028],
    [0.66, 0.14, 0.14, 0.03, 0.03],
    [0.64, 0.12, 0.12, 0.055, 0.065],
    [0.55, 0.12, 0.12, 0.11, 0.1],
]


def call_records() -> pd.DataFrame:
    """52,000 records: clocks as HHMM integers, billed units, columns of one kind, 600 twice."""
    rng = np.random.default_rng(508)
    kind = rng.choice(4, ROWS, p=[0.47, 0.24, 0.25, 0.04])
    segment = rng.choice(3, ROWS, p=[0.62, 0.23, 0.15])
    t = pd.DataFrame({"_kind": kind, "_segment": segment})
    t["RECORD_TYPE"] = labels(("MOC", "SMS-MO", "PGW", "MMS-MO"), kind)
    consumer, company = rng.choice(3, ROWS, p=[0.5, 0.35, 0.15]), 3 + (rng.random(ROWS) < 0.3)
    plan = np.select([segment == CONSUMER, segment == BUSINESS], [consumer, company], 5)
    t["TARIFF"] = labels(("RED S", "RED M", "RED L", "BIZ 1", "BIZ Flex", "PREPAY"), plan)
    _add_clock(t, rng)
    _add_place(t, rng)
    _add_ending(t, rng)
    _add_volume(t, rng)
    _add_charge(t)
    t["CCY"] = "EUR"
    return finished(t, rng, copies=600)


def _add_clock(t: pd.DataFrame, rng: Rng) -> None:
    """Companies call on weekdays and in the morning, people in the evening, data any time."""
    company = t["_segment"] == BUSINESS
    day = rng.integers(0, 30, ROWS)
    moved = company & np.isin(day % 7, [5, 6]) & (rng.random(ROWS) < 0.75)
    day = np.where(moved, (day + 2) % 30, day)
    lunch, desk = rng.random(ROWS) < 0.35, rng.random(ROWS) < 0.5
    private = np.where(lunch, rng.normal(12.5, 2.2, ROWS), rng.normal(19, 2.4, ROWS))
    work = np.where(desk, rng.normal(10.3, 1.2, ROWS), rng.normal(15, 1.4, ROWS))
    hour = np.where(company, work, private)
    any_time = (t["_kind"] == DATA) & (rng.random(ROWS) < 0.3)
    hour = np.where(any_time, rng.uniform(0, 24, ROWS), hour) % 24
    minute = (hour * 60).astype(int) % 1440
    t["_hour"] = hour
    t["CALL_DATE"] = 20_240_401 + day
    t["CALL_TIME"] = minute // 60 * 100 + minute % 60


def _add_place(t: pd.DataFrame, rng: Rng) -> None:
    """Cell, site, region and switch go together; all are empty for who roams."""
    net, company = network(), t["_segment"] == BUSINESS
    urban = net.cell_urban()
    busy = net.load * np.where(urban, 1.6, 0.6)
    town, land = busy * urban, busy * ~urban
    outside = rng.random(ROWS) < np.where(company, 0.12, 0.3)
    in_town = rng.choice(len(busy), ROWS, p=town / town.sum())
    in_land = rng.choice(len(busy), ROWS, p=land / land.sum())
    cell = np.where(outside, in_land, in_town)
    site, band = net.site_of[cell], net.band[cell]
    old = (band == "L08") & (rng.random(ROWS) < 0.28)
    access = np.select([old, band == "N35"], ["2G", "5G"], "4G")
    roams = rng.random(ROWS) < np.where(company, 0.05, 0.018)
    country = labels(COUNTRIES, rng.choice(9, ROWS, p=COUNTRY_SHARE))
    t["_access"], t["_poor"] = access, net.quality[cell] < -1.2
    t["_dear"] = roams & np.isin(country, OUTSIDE)
    region = labels(REGIONS, net.region[site])
    for name, value in (
        ("RAT", access),
        ("CELL", net.cell[cell]),
        ("SITE", net.site[site]),
        ("REGION", region),
    ):
        t[name] = np.where(roams, "", value)
    t["ROAM_FLAG"] = np.where(roams, "Y", "N")
    t["VISITED_COUNTRY"] = np.where(roams, country, "")
    switch = np.where(t["_kind"] == DATA, 2, net.region[site] > 1)
    t["SWITCH"] = np.where(roams, "TAP", labels(("MSS1", "MSS2", "MSS3"), switch))


def _add_ending(t: pd.DataFrame, rng: Rng) -> None:
    """Calls that nobody took last 0 s; poor cells cut more; the switch cuts at two hours."""
    kind, segment = t["_kind"], t["_segment"]
    shares = [
        [0.42, 0.38, 0.1, 0.05, 0.03, 0.02],
        [0.33, 0.4, 0.14, 0.08, 0.03, 0.02],
        [0.45, 0.25, 0.02, 0.25, 0.02, 0.01],
    ]
    to = pick(rng, segment, shares)
    t["_to"], t["DEST_TYPE"] = to, np.where(kind == DATA, "", labels(DESTINATIONS, to))
    poor = (t["_access"] == "2G").astype(int) + 2 * t["_poor"]
    cause = np.array([ANSWERED, 17, 19, CUT, 34])[pick(rng, poor, CAUSE_SHARES)]
    went = np.where(rng.random(ROWS) < 0.985, ANSWERED, REJECTED)
    cause = np.where(kind == VOICE, cause, went)
    talks = (kind == VOICE) & np.isin(cause, [ANSWERED, CUT])
    mean = np.where(segment == BUSINESS, 4.75, 4.3) + 0.3 * (t["_hour"] > 19)
    mean = np.where(to == VOICE_MAIL, 3.1, mean + 0.45 * (to == INTERNATIONAL) + 0.2 * (to == 2))
    talk_s = np.round(np.exp(rng.normal(mean, np.where(to == VOICE_MAIL, 0.4, 1.15))))
    talk_s = np.where(talks, np.maximum(1, talk_s), 0).astype(int)
    talk_s = np.where(cause == CUT, (talk_s * rng.random(ROWS) ** 0.7).astype(int), talk_s)
    talk_s = np.minimum(talk_s, 7200)
    talk_s[talks & (rng.random(ROWS) < 0.0012)] = 7200
    steps = rng.choice([30, 45, 60], ROWS, p=[0.5, 0.2, 0.3])
    waits = np.minimum(rng.gamma(2.2, 4, ROWS), 44).round()
    ring = np.select([kind != VOICE, cause == 19, cause == 34], [-1, steps, 0], waits)
    t["CAUSE"], t["RING_SEC"], t["DURATION_SEC"] = cause, ring.astype(int), talk_s


def _add_volume(t: pd.DataFrame, rng: Rng) -> None:
    """Data comes in small and large; its duration grows with it and is cut each hour."""
    data = t["_kind"] == DATA
    small = rng.random(ROWS) < 0.45
    log_kb = np.where(small, rng.normal(4.2, 1.2, ROWS), rng.normal(9.3, 1.6, ROWS))
    log_kb += 0.9 * (t["_access"] == "5G") - 2 * (t["_access"] == "2G")
    moves = data & (t["CAUSE"] != REJECTED)
    volume = np.where(moves, np.minimum(np.round(np.exp(log_kb)), 2_097_152), 0).astype(int)
    length = np.round(np.exp(2.6 + 0.42 * np.log1p(volume) + rng.normal(0, 0.6, ROWS)))
    t["VOLUME_KB"] = volume
    t["DURATION_SEC"] = np.where(data, np.minimum(length, 3600), t["DURATION_SEC"]).astype(int)


def _add_charge(t: pd.DataFrame) -> None:
    """Billed seconds are the duration in units of 1, 30 or 60; the charge is computed of them."""
    kind, to, dear = t["_kind"], t["_to"], t["_dear"]
    voice, prepaid = kind == VOICE, t["_segment"] == PREPAID
    unit = np.select([~voice, prepaid, to == INTERNATIONAL], [1, 60, 30], 1)
    billed = np.where(voice, np.ceil(t["DURATION_SEC"] / unit) * unit, 0).astype(int)
    rates = [to == PREMIUM, to == INTERNATIONAL, to == VOICE_MAIL]
    rate = np.where(dear, 1.19, np.select(rates, [0.9, 0.29, 0.0], np.where(prepaid, 0.15, 0.12)))
    flat = ~prepaid & ~dear
    call = np.where(flat & (to <= 2), 0, billed / 60 * rate)
    text = np.where(flat, 0, np.where(dear, 0.39, 0.09))
    mb = t["VOLUME_KB"] / 1024
    data = np.where(dear, np.minimum(mb * 0.2, 60.5), np.where(prepaid, mb * 0.01, 0))
    charge = np.select([voice, kind == TEXT, kind == PICTURE], [call, text, 0.35], data)
    t["BILLED_SEC"] = billed
    t["CHARGE"] = np.where(t["CAUSE"] == REJECTED, 0, np.round(charge, 4))
