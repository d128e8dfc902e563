import numpy as np
import pytest

from graph.coordination import (
    DEFAULT_RULES,
    Actions,
    CoordinationRules,
    CoordinationWindow,
    _pairs_of,
    adjust_p_values,
    draw_times,
    find_coordination,
    find_network,
    hashtag_sequence,
    index_actions,
    measure_false_alarms,
)

SECOND = 1_000_000
Row = tuple[str, str, int]
LOOSE = CoordinationRules(min_participation=1, min_weight=1)


def actions_of(*rows: Row) -> Actions:
    """Rows are (account, object, seconds)."""
    accounts, objects, seconds = zip(*rows, strict=True) if rows else ((), (), ())
    return index_actions(accounts, objects, [s * SECOND for s in seconds])


def edges_of(*rows: Row, rules: CoordinationRules = LOOSE) -> dict[str, int]:
    net = find_network(actions_of(*rows), rules)
    ends = zip(net.one.tolist(), net.other.tolist(), net.weight.tolist(), strict=True)
    return {net.accounts[a] + net.accounts[b]: weight for a, b, weight in ends}


def crowd(seed: int, *, plan: int, n_rounds: int = 40) -> tuple[list[Row], set[str]]:
    """300 accounts who act on what is popular at the time, and `plan` of which act together too."""
    chance = np.random.default_rng(seed)
    n_actions, n_objects, days = 8000, 1500, 3
    day, hour = chance.integers(0, days, n_actions), chance.choice(24, n_actions, p=_rhythm())
    at = (day * 24 + hour) * 3600 + chance.integers(0, 3600, n_actions)
    actor = (chance.random(n_actions) ** 2 * 300).astype(int)
    newest = (at * n_objects) // (days * 86400)
    thing = np.maximum(newest - (chance.random(n_actions) ** 3 * 60).astype(int), 0)
    rows = [
        (f"u{a:03}", f"o{o}", t)
        for a, o, t in zip(actor.tolist(), thing.tolist(), at.tolist(), strict=True)
    ]
    planned = {f"c{i:02}" for i in range(plan)}
    for _ in range(n_rounds):
        start = int(chance.integers(0, days * 86400))
        choice = f"o{max(start * n_objects // (days * 86400) - int(chance.integers(0, 30)), 0)}"
        rows += [
            (account, choice, start + int(chance.integers(0, 40)))
            for account in sorted(planned)
            if chance.random() < 0.8
        ]
    for account in sorted(planned):  # they do ordinary things as well
        for i in chance.integers(0, n_actions, 25).tolist():
            rows.append((account, rows[i][1], rows[i][2] + int(chance.integers(0, 300))))
    return rows, planned


def _rhythm() -> np.ndarray:
    p = 1.1 + np.sin(np.arange(24) / 24 * 2 * np.pi - 2)
    return np.asarray(p / p.sum())


def test_together_is_the_same_object_within_the_window() -> None:
    rows = [("a", "x", 0), ("b", "x", 60), ("c", "x", 121), ("a", "y", 0), ("d", "z", 0)]
    assert edges_of(*rows) == {"ab": 1}


def test_weight_counts_objects_and_not_actions() -> None:
    rows = [("a", "x", 0), ("a", "x", 5), ("b", "x", 10), ("b", "x", 12)]
    rows += [("a", "y", 0), ("b", "y", 0)]
    assert edges_of(*rows) == {"ab": 2}


def test_the_same_action_twice_and_one_account_alone_are_nothing() -> None:
    assert edges_of(("a", "x", 0), ("a", "x", 0), ("a", "x", 10)) == {}


def test_symmetry_is_the_share_of_the_less_busy_end() -> None:
    rows = [("a", "x", 0), ("b", "x", 10), ("b", "x", 20), ("b", "x", 30), ("b", "x", 40)]
    assert find_network(actions_of(*rows), LOOSE).symmetry.tolist() == [0.25]
    strict = CoordinationRules(min_participation=1, min_weight=1, min_symmetry=0.5)
    assert edges_of(*rows, rules=strict) == {}


def test_participation_and_weight_are_asked_for() -> None:
    rows = [("a", "x", 0), ("b", "x", 0), ("a", "y", 9), ("b", "y", 9), ("c", "x", 0)]
    rules = CoordinationRules(min_participation=2, min_weight=1)
    assert edges_of(*rows, rules=rules) == {"ab": 2}
    rules = CoordinationRules(min_participation=1, min_weight=2)
    assert edges_of(*rows, rules=rules) == {"ab": 2}


def test_what_is_not_known_is_counted_and_left_out() -> None:
    actions = index_actions(["a", None, "b"], ["x", "x", ""], [0, 0, 0])
    assert (actions.n_unknown, len(actions.actor)) == (2, 1)


def test_expected_weight_is_the_mean_of_the_null_model() -> None:
    """Objects of six to nine actions within an hour; the mean over draws of who meets on what."""
    chance = np.random.default_rng(3)
    rows: list[Row] = []
    for thing in range(60):
        begin = 3600 * int(chance.integers(0, 20))
        rows += [
            (f"u{chance.integers(0, 9)}", f"o{thing}", begin + int(chance.integers(0, 3000)))
            for _ in range(int(chance.integers(6, 10)))
        ]
    rules = CoordinationRules(window_seconds=240, min_participation=1, min_weight=1)
    actions = actions_of(*rows)
    network = find_network(actions, rules)
    pairs = list(zip(network.one.tolist(), network.other.tolist(), strict=True))
    total = dict.fromkeys(pairs, 0.0)
    n_draws = 400
    for seed in range(n_draws):
        drawn = draw_times(actions, seed)
        near = np.abs(drawn.at_us[:, None] - drawn.at_us) <= 240 * SECOND
        same = drawn.object[:, None] == drawn.object
        i, j = np.nonzero(near & same & (drawn.actor[:, None] < drawn.actor))
        met = {(a, b, o) for a, b, o in zip(
            drawn.actor[i].tolist(), drawn.actor[j].tolist(), drawn.object[i].tolist(), strict=True
        )}  # fmt: skip
        for a, b, _ in met:
            if (a, b) in total:
                total[a, b] += 1 / n_draws
    assert network.expected == pytest.approx([total[pair] for pair in pairs], rel=0.25)
    assert network.expected.sum() == pytest.approx(sum(total.values()), rel=0.05)


def test_a_draw_keeps_who_acts_on_what_and_when_it_begins() -> None:
    actions = actions_of(*crowd(1, plan=0)[0])
    drawn = draw_times(actions, seed=4)
    assert drawn.actor.tolist() == actions.actor.tolist()
    assert drawn.object.tolist() == actions.object.tolist()
    assert drawn.at_us.tolist() != actions.at_us.tolist()
    day = 86_400 * SECOND
    for one in (drawn, actions):
        assert (one.at_us // day).tolist() == (actions.at_us // day).tolist()
    use = actions.object * 10 + actions.at_us // day
    for number in np.unique(use)[:200].tolist():
        rows = use == number
        assert drawn.at_us[rows].min() == actions.at_us[rows].min()
    assert draw_times(actions, seed=4).at_us.tolist() == drawn.at_us.tolist()
    assert draw_times(actions, seed=5).at_us.tolist() != drawn.at_us.tolist()


def test_what_is_used_day_after_day_counts_once_a_day() -> None:
    rows = [(account, "x", 86_400 * day + 10) for day in range(5) for account in "ab"]
    assert edges_of(*rows) == {"ab": 5}
    rows += [("a", "x", 50), ("b", "x", 55)]
    assert edges_of(*rows) == {"ab": 5}
    # one after midnight meets one before it
    assert edges_of(("a", "x", 86_390), ("b", "x", 86_410)) == {"ab": 1}


def thread_shared_by_fans(seed: int, begins: int) -> Actions:
    """25 fans share three posts within a minute, each when it sees them, beside a usual day."""
    chance = np.random.default_rng(seed)
    rows = [
        (f"fan{fan:02}", f"post{i}", begins + float(chance.uniform(0, 55)))
        for i in range(3) for fan in range(25)
    ]  # fmt: skip
    for i in range(200):
        begin = chance.uniform(0, 80_000)
        rows += [
            (f"u{account:02}", f"o{i}", float(begin + chance.exponential(3600)))
            for account in chance.choice(60, 8, replace=False).tolist()
        ]
    accounts, objects, seconds = zip(*rows, strict=True)
    return index_actions(accounts, objects, [int(s * SECOND) for s in seconds])


@pytest.mark.parametrize("hour", [22, 23])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_crowd_around_midnight_is_a_crowd_as_at_any_hour(hour: int, seed: int) -> None:
    network = find_network(thread_shared_by_fans(seed, hour * 3600 + 3570))
    assert len(network.one) > 0
    assert (network.expected > 0).all()
    assert network.groups() == []


@pytest.mark.parametrize("night_owls", [False, True])
@pytest.mark.parametrize("hour", [0, 12, 15, 23])
def test_a_link_used_day_after_day_counts_once_a_day(hour: int, night_owls: bool) -> None:
    """Also around midnight, and where others share it within a minute around each midnight."""
    chance = np.random.default_rng(1)
    rows = []
    for day in range(1, 7):
        at = day * 86_400 + hour * 3600
        rows += [(f"bot{i}", "x", at + float(chance.uniform(-25, 25))) for i in range(5)]
        if night_owls:
            rows += [("v", "x", day * 86_400 - 15.0), ("w", "x", day * 86_400 + 15.0)]
    accounts, objects, seconds = zip(*rows, strict=True)
    network = find_network(index_actions(accounts, objects, [int(s * SECOND) for s in seconds]))
    names = [network.accounts[i] for i in network.one], [network.accounts[i] for i in network.other]
    bots = [
        weight
        for one, other, weight in zip(*names, network.weight.tolist(), strict=True)
        if one.startswith("bot") and other.startswith("bot")
    ]
    assert bots == [6] * 10


def test_pairs_of_those_who_take_no_part_are_not_made() -> None:
    """What goes viral is shared by many who do nothing else: not 200 million pairs, but nine."""
    rows = [(f"once{i:05}", "viral", i // 100) for i in range(20_000)]
    rows += [(name, thing, 1000) for thing in ("viral", "a", "b") for name in "xyz"]
    actions = actions_of(*rows)
    pairs = _pairs_of(actions, DEFAULT_RULES)
    assert len(pairs.first) == 9
    assert edges_of(*rows, rules=DEFAULT_RULES) == {"xy": 3, "xz": 3, "yz": 3}


def test_a_campaign_that_is_most_of_its_hour_is_found() -> None:
    """Nearly all of an hour is theirs, but things that begin in that hour do not spread so fast."""
    rows, _ = crowd(6, plan=0)
    chance = np.random.default_rng(6)
    planned = [f"n{i}" for i in range(7)]
    for day in range(3):
        for wave in range(4):
            begin = day * 86_400 + 13 * 3600 + 600 * wave
            rows += [(a, f"night{day}{wave}", begin + int(chance.integers(0, 30))) for a in planned]
    groups = find_network(actions_of(*rows)).groups()
    assert [len(group) for group in groups] == [7]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_planted_campaign_is_found_and_nobody_else_accused(seed: int) -> None:
    rows, planned = crowd(seed, plan=8)
    network, groups, alarms = find_coordination(actions_of(*rows), n_draws=20)
    accused = {account for group in groups for account in group.accounts}
    assert accused == planned
    assert len(groups) == 1
    assert groups[0].density > 0.9
    assert groups[0].p_value == pytest.approx(1 / 21)
    assert alarms.draws_with_alarm <= 0.1
    assert alarms.account_rate < 0.01
    assert (network.weight >= network.rules.min_weight).all()


def test_without_a_campaign_nobody_is_accused() -> None:
    actions = actions_of(*crowd(4, plan=0)[0])
    _, groups, alarms = find_coordination(actions, n_draws=10)
    assert groups == []
    assert alarms.n_draws == 10
    assert alarms.account_rate == 0.0


def test_accounts_that_are_awake_at_the_same_hours_are_no_campaign() -> None:
    # ten accounts act on every popular object, but so does everybody else in these hours
    chance = np.random.default_rng(2)
    rows = [
        (f"u{i}", f"o{t}_{chance.integers(0, 3)}", 3600 * t + int(chance.integers(0, 600)))
        for t in range(24) for i in range(60) for _ in range(2)
    ]  # fmt: skip
    rows += [
        (f"n{i}", f"o{t}_{chance.integers(0, 3)}", 3600 * t + int(chance.integers(0, 600)))
        for t in range(0, 24, 3) for i in range(10) for _ in range(4)
    ]  # fmt: skip
    assert find_network(actions_of(*rows)).groups() == []


def test_q_values_count_all_pairs() -> None:
    p_values = np.array([0.01, 0.02, 0.03])
    assert adjust_p_values(p_values, 3) == pytest.approx([0.03, 0.03, 0.03])
    assert adjust_p_values(p_values, 300) == pytest.approx([1.0, 1.0, 1.0])
    assert adjust_p_values(np.empty(0), 5).tolist() == []


def test_a_hashtag_alone_is_no_sequence() -> None:
    assert hashtag_sequence([]) is None
    assert hashtag_sequence(["b", "a"]) != hashtag_sequence(["a", "b"])


def test_one_after_the_other_gives_the_same_as_all_at_once() -> None:
    rows, _ = crowd(2, plan=6)
    rows.sort(key=lambda row: row[2])
    period = 20 * 3600
    window = CoordinationWindow(period, LOOSE)
    for number, (account, thing, at) in enumerate(rows):
        window.add(account, thing, at * SECOND)
        if number in (10, len(rows) // 2, len(rows) - 1):
            kept = [row for row in rows[: number + 1] if row[2] > at - period]
            expected = find_network(actions_of(*kept), LOOSE)
            for name, value in vars(window.network()).items():
                assert np.array_equal(value, getattr(expected, name)), name
    assert len(window) <= len(kept)


def test_what_is_over_is_forgotten() -> None:
    window = CoordinationWindow(100, LOOSE)
    window.extend(("ab"[i % 2], f"o{i // 2}", i * SECOND) for i in range(5000))
    assert len(window) <= 100
    assert len(window._pairs) <= 100
    assert len(window._recent) <= 100
    window.add(None, None, 10_000 * SECOND)
    assert (len(window), len(window._pairs), len(window._recent)) == (0, 0, 0)


def test_late_actions_are_refused() -> None:
    window = CoordinationWindow(100)
    window.add("a", "x", 50)
    with pytest.raises(ValueError, match="comes after"):
        window.add("b", "x", 49)


def test_parameters_are_checked() -> None:
    with pytest.raises(ValueError, match="window_seconds"):
        CoordinationRules(window_seconds=7200)
    with pytest.raises(ValueError, match="window_seconds"):
        CoordinationRules(window_seconds=-1)
    with pytest.raises(ValueError, match="min_weight"):
        CoordinationRules(min_weight=0)
    with pytest.raises(ValueError, match="period_seconds"):
        CoordinationWindow(0)
    with pytest.raises(ValueError, match="n_draws"):
        measure_false_alarms(actions_of(), n_draws=0)
    with pytest.raises(ValueError, match="same length"):
        index_actions(["a"], [], [])


def test_nothing() -> None:
    network, groups, alarms = find_coordination(actions_of(), n_draws=2)
    assert (len(network.one), groups, alarms.account_rate) == (0, [], 0.0)
    assert len(CoordinationWindow(60).network().one) == 0
