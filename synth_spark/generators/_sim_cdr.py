"""Calls, texts and data sessions: who, when, with whom, where, how long."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from synth_spark.core.batch import Coded, Values, subject_label
from synth_spark.generators._sim_draft import Draft, Floats, Ints
from synth_spark.generators._sim_facts import Labels
from synth_spark.generators._sim_fraud import callers_only, rings
from synth_spark.generators._sim_moves import put_places
from synth_spark.generators._sim_scenarios import after_places, before_rows, put_rare
from synth_spark.generators._sim_ties import OUTSIDE, STRIDE, Ties, make_ties, party_ids

CALL, TEXT, DATA = 0, 1, 2
TYPES = Labels(("call", "sms", "data"), np.array([0.5, 0.2, 0.3]))
DIRECTIONS = Labels(("out", "in"), np.array([0.65, 0.35]))
CAUSES = ("normalRelease", "noAnswer", "networkFailure")
LONGEST_S = 7_200.0


def roles_of(labels: tuple[str, ...]) -> Ints:
    """What each type of event is, by its name: CALL, TEXT or DATA; shape (labels,)."""
    words = {TEXT: ("sms", "text", "mms", "message"), DATA: ("data", "gprs", "internet", "web")}
    found = [
        next((r for r, names in words.items() if any(w in label.lower() for w in names)), CALL)
        for label in labels
    ]
    return np.array(found, np.int64)


def draw(draft: Draft) -> None:
    """All events of a block, sorted."""
    facts, p = draft.facts, draft.facts.params
    rates = draft.rates_a_day()
    types, ways = facts.column("event_type") or TYPES, facts.column("direction") or DIRECTIONS
    roles = facts.tables["roles"]  # of each type: CALL, TEXT, DATA
    ties = make_ties(draft, rates)
    one_way = int(np.count_nonzero(ways.shares)) < 2
    inside = 0.0 if one_way else ties.inside_share(rates)
    reply = 0.0 if one_way else p.reply_share
    # what a chosen event becomes: itself, its answers, and the records of other ends
    grown = np.where(roles == DATA, 1.0, (1.0 + reply) * (1.0 + inside))
    chosen = types.shares / grown
    draft.arrive(rates * chosen.sum())
    before_rows(draft)
    types = replace(types, shares=chosen / chosen.sum())
    _choose(draft, ties, types, ways, roles, outward=_outward(types, ways, roles, inside, reply))
    if not one_way:
        _reply(draft)
    _lengths(draft)
    out, call = _code(ways, "out", 0), int(np.argmax(roles == CALL))
    callers_only(draft, out=out, call=call)
    draft.values["pair"] = np.arange(len(draft.owner))
    _mirror(draft, one_way=one_way)
    rings(draft, out=out, call=call)
    allowed = (types.shares > 0)[draft.values["kind"]] & (ways.shares > 0)[draft.values["way"]]
    draft.take(draft.inside() & allowed)  # what a scenario added may not fit the condition
    _none_left_out(draft)
    draft.sort(facts.tables["step_s"][0])
    put_places(draft)
    if after_places(draft):
        draft.sort(facts.tables["step_s"][0])
    put_rare(draft)


def _outward(types: Labels, ways: Labels, roles: Ints, inside: float, reply: float) -> float:
    """Share of the contacts with outsiders that go out, so that all records have their share."""
    out = _code(ways, "out", 0)
    if np.count_nonzero(ways.shares) < 2:
        return float(ways.shares[out])
    grown = np.where(roles == DATA, 1.0, (1.0 + reply) * (1.0 + inside))
    rows = types.shares * grown
    data = float(rows[roles == DATA].sum() / rows.sum())
    talk = (float(ways.shares[out]) - data) / max(1.0 - data, 1e-9)
    pairs = 2 * inside / (1 + inside)  # of the talk, seen from both ends
    one_end = (talk - 0.5 * pairs) / max(1.0 - pairs, 1e-9)
    return float(np.clip((one_end * (1 + reply) - reply) / max(1 - reply, 1e-9), 0.0, 1.0))


def _choose(
    draft: Draft, ties: Ties, types: Labels, ways: Labels, roles: Ints, *, outward: float
) -> None:
    """Type, direction, other party and its rank for each event."""
    rng, owner = draft.rng("choose"), draft.owner
    shape = np.maximum(draft.facts.params.taste * types.shares, 1e-9)
    taste = rng.gamma(shape, size=(draft.size, len(shape)))
    taste = np.where(types.shares > 0, taste + 1e-12, 0.0)
    upper = np.cumsum(taste, axis=1)
    goal = rng.random(len(owner)) * upper[owner, -1]
    kind = np.zeros(len(owner), np.int64)
    for k in range(len(types.shares) - 1):
        kind += goal >= upper[owner, k]
    last = int(np.flatnonzero(types.shares)[-1])
    kind = np.minimum(kind, last)
    steep = np.exp(0.2 * rng.standard_normal(draft.size))
    rank = ties.ranks(owner, rng, steep)
    out = _code(ways, "out", 0)
    party = party_ids(draft, ties, owner, rank)
    inside = party < OUTSIDE
    back = int(np.argmax(np.where(np.arange(len(ways.shares)) == out, -1.0, ways.shares)))
    way = np.where(inside | (rng.random(len(owner)) < outward), out, back)
    if ways.shares[out] == 0:  # only incoming ones are asked for
        way[:] = back
    data = roles[kind] == DATA
    way = np.where(data & (ways.shares[out] > 0), out, way)
    draft.values |= {
        "kind": kind, "way": way, "rank": rank, "role": roles[kind],
        "party": np.where(data, -1, party),
    }  # fmt: skip


def _reply(draft: Draft) -> None:
    """Some calls and texts are answered by one the other way after a while."""
    p, rng = draft.facts.params, draft.rng("reply")
    hit = (rng.random(len(draft.owner)) < p.reply_share) & (draft.values["role"] != DATA)
    rows = np.flatnonzero(hit)
    gap = p.reply_median_s * np.exp(p.reply_sigma * rng.standard_normal(len(rows)))
    values = {n: v[rows] for n, v in draft.values.items()}
    values["way"] = 1 - np.minimum(values["way"], 1)
    draft.add(draft.owner[rows], draft.t[rows] + gap, draft.mark[rows], **values)


def _lengths(draft: Draft) -> None:
    """Seconds and volumes by type and strength of the tie; missing is NaN."""
    p, v = draft.facts.params, draft.values
    rng, rows = draft.rng("lengths"), len(draft.owner)
    call, data = v["role"] == CALL, v["role"] == DATA
    z = rng.standard_normal(rows)
    tie = (1.0 + v["rank"]) ** p.call_tie_slope
    talk = p.call_median_s * tie * np.exp(p.call_sigma * z)
    missed = call & (rng.random(rows) < p.missed_share)
    length = np.where(data, p.session_median_s * np.exp(p.session_sigma * z), talk)
    v["seconds"] = np.where(
        call | data, np.where(missed, 0.0, np.clip(length, 1.0, LONGEST_S)), np.nan
    )
    down, up = np.full((2, rows), np.nan)
    sessions = np.flatnonzero(data)
    wealth = np.exp(0.5 * draft.rng("wealth").standard_normal(draft.size))
    size = p.down_median_bytes * wealth[draft.owner[sessions]]
    mixed = 0.5 * z[sessions] + 0.866 * rng.standard_normal(len(sessions))  # long ones are large
    down[sessions] = size * np.exp(p.down_sigma * mixed)
    up[sessions] = down[sessions] * p.up_share * np.exp(0.7 * rng.standard_normal(len(sessions)))
    v |= {"down": np.rint(down), "up": np.rint(up), "cause": np.where(missed, 1, 0)}


def _mirror(draft: Draft, *, one_way: bool) -> None:
    """The record of the other end, where that is a subject of the block."""
    if one_way:
        return
    party = draft.values["party"]
    rows = np.flatnonzero((party >= draft.first) & (party < draft.first + draft.size))
    values = {n: v[rows] for n, v in draft.values.items()}
    values["way"] = 1 - np.minimum(values["way"], 1)
    values["party"] = draft.first + draft.owner[rows]
    draft.add(party[rows] - draft.first, draft.t[rows], draft.mark[rows], **values)


def _none_left_out(draft: Draft) -> None:
    """A subject whose events all fell away gets one back, of the plainest kind, at a free hour."""
    gone = np.flatnonzero(np.bincount(draft.owner, minlength=draft.size) == 0)
    if not len(gone):
        return
    hour = int(np.argmax(draft.facts.intensity))
    donor = np.arange(len(gone)) % max(len(draft.owner), 1)
    values = {n: v[donor] for n, v in draft.values.items()}
    values["party"] = np.where(values["party"] >= 0, OUTSIDE + gone * STRIDE, -1)
    draft.add(gone, hour * 3_600.0 + draft.rng("gone").random(len(gone)) * 3_599.0, 0, **values)


def columns(draft: Draft) -> dict[str, Values]:
    """The family's columns from the draft."""
    v, facts = draft.values, draft.facts
    types, ways = facts.labels.get("event_type", TYPES), facts.labels.get("direction", DIRECTIONS)
    town, data = facts.town, v["role"] == DATA
    cause = np.where(np.isnan(v["seconds"]), -1, v["cause"])
    found: dict[str, Values] = {
        "event_at": draft.moments(),
        "event_type": Coded(v["kind"].astype(np.int32), types.labels),
        "direction": Coded(v["way"].astype(np.int32), ways.labels),
        "correspondent_id": _parties(v["party"]),
        "duration_s": _rounded(v["seconds"]),
        "cell_id": Coded(v["cell"].astype(np.int32), town.labels),
        "uplink_bytes": v["up"],
        "downlink_bytes": v["down"],
        "end_cause": Coded(cause.astype(np.int32), CAUSES),
    }
    radios = tuple(dict.fromkeys(town.radios))
    radio = np.array([radios.index(r) for r in town.radios], np.int32)
    found["radio"] = Coded(np.where(data, radio[v["cell"]], -1).astype(np.int32), radios)
    access = facts.labels.get("access_point")
    if access:
        codes = np.where(data, draft.chosen("access_point", access), -1)
        found["access_point"] = Coded(codes.astype(np.int32), access.labels)
    return found


def _parties(party: Ints) -> Coded:
    """Other parties as labels: subjects by their number, others by whose they are."""
    ids, codes = np.unique(party, return_inverse=True)
    none = int(len(ids) > 0 and ids[0] < 0)
    labels = [
        subject_label(i) if i < OUTSIDE else f"c{(i - OUTSIDE) // STRIDE}-{(i - OUTSIDE) % STRIDE}"
        for i in ids[none:].tolist()
    ]
    return Coded((codes - none).astype(np.int32), tuple(labels))


def _rounded(values: Floats) -> Floats:
    return np.asarray(np.rint(values))


def _code(found: Labels, label: str, otherwise: int) -> int:
    return found.labels.index(label) if label in found.labels else otherwise
