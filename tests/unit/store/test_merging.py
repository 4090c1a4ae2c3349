"""Which record of a transfer stands, whatever is told in which order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from store_writer import made
from tidewaiter.schema.transfer import STAGES, Transfer
from tidewaiter.store.merging import compare, join

RECORDS = st.builds(
    made,
    st.just("a"),
    seen=st.sets(st.sampled_from(STAGES), min_size=1, max_size=4).map(lambda found: tuple(sorted(found))),
    logs=st.sets(st.sampled_from(["1", "2", "3", "4"]), min_size=1, max_size=3).map(lambda found: tuple(sorted(found))),
    score=st.integers(0, 100),
)


def settled(kept: Transfer, told: Transfer) -> Transfer:
    change = compare(kept, told)
    return join(kept, told) if change == "join" else told if change == "replace" else kept


def shown(transfer: Transfer) -> set[str]:
    return {name for name, record in transfer.stages.items() if record.state == "seen"}


@given(st.lists(RECORDS, min_size=1, max_size=4), RECORDS)
def test_telling_the_same_again_changes_nothing(earlier: list[Transfer], told: Transfer) -> None:
    kept = earlier[0]
    for one in earlier[1:]:
        kept = settled(kept, one)
    once = settled(kept, told)

    assert settled(once, told) == once


@given(RECORDS, RECORDS)
def test_no_stage_is_lost_unless_all_its_logs_were_read_again(kept: Transfer, told: Transfer) -> None:
    after = settled(kept, told)
    again = {row.log_file for row in told.evidence} >= {row.log_file for row in kept.evidence}

    assert shown(after) >= shown(told)
    assert again or shown(after) >= shown(kept)


@given(RECORDS, RECORDS)
def test_every_stage_of_a_joined_record_points_at_its_own_evidence(kept: Transfer, told: Transfer) -> None:
    both = join(kept, told)

    for one in (kept, told):
        for name, record in one.stages.items():
            rows = [one.evidence[index] for index in record.evidence]
            assert all(row in [both.evidence[index] for index in both.stages[name].evidence] for row in rows)
    assert len(both.evidence) == len({(row.log_file, row.record) for row in (*kept.evidence, *told.evidence)})
    assert both.score == max(kept.score, told.score)
    assert sum(reason.weight for reason in both.reasons) == both.score


def test_a_stage_that_some_logs_could_have_shown_is_not_invisible() -> None:
    one, other = made(seen=("commanded",), logs=("1",)), made(seen=("carried",), logs=("2",))
    one.stages["landed"].state = "not_visible"

    assert join(one, other).stages["landed"].state == "not_seen"
