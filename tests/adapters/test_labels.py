"""Labels: every spelling that was seen, and a yes, a no and an empty cell told apart."""

from __future__ import annotations

import pytest

from adapters.exports import Answer, Label
from adapters.labels import answered, label_name, merge_labels, split_labels


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Article 6 Authorized – NDC Use", "article6:ndc"),
        ("Article 6 Authorized – Intl mitigation purposes", "article6:imp"),
        ("Article 6 Authorized – Other purposes", "article6:op"),
        ("CORSIA - First Phase, 2024-2026 Scope", "corsia:first"),
        ("CORSIA – Pilot Phase, 2021-2023 Eligible", "corsia:pilot"),
        ("ICVCM CCP", "ccp"),
        ("CCB-Biodiversity Gold", "ccb:biodiversity-gold"),
        ("CCBS-Gold", "ccb:gold"),
        ("Carbon Dioxide Removals", "kind:removal"),
        ("GHG Emissions Reductions", "kind:reduction"),
        ("Something  New – 2027", "other:something new - 2027"),
    ],
)
def test_every_spelling_seen_has_a_name_and_others_are_kept(text: str, name: str) -> None:
    assert label_name(text) == name


def test_a_cell_of_several_labels_gives_each_once() -> None:
    assert split_labels("ICVCM CCP; icvcm  ccp;; Social Carbon", ";") == (
        Label("ccp", Answer.YES),
        Label("social-carbon", Answer.YES),
    )


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("Yes", (Label("ccp", Answer.YES),)),
        ("no", (Label("ccp", Answer.NO),)),
        ("N/A", (Label("ccp", Answer.NOT_APPLICABLE),)),
        (" ", ()),
        ("Pending", (Label("other:ccp=pending", Answer.YES),)),
    ],
)
def test_answers(text: str, labels: tuple[Label, ...]) -> None:
    assert answered("ccp", text) == labels


def test_a_yes_and_a_no_of_one_label_both_stay() -> None:
    both = merge_labels((answered("ccp", "Yes"), answered("ccp", "No"), answered("ccp", "Yes")))
    assert both == (Label("ccp", Answer.YES), Label("ccp", Answer.NO))
