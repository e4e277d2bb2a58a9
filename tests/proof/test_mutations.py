"""The mutations are still of this code; running them is a command."""

from __future__ import annotations

import os

import pytest

from mutations import MUTATIONS, PROJECT, mutated

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(
        "WEBSESSION_MUTATED" in os.environ, reason="the place is mutated"
    ),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda each: each.what)
def test_a_mutation_has_one_place_and_tests(mutation):
    text = (PROJECT / mutation.file).read_text()
    assert mutated(text, mutation) != text
    for name in mutation.tests.split():
        assert (PROJECT / name.partition("::")[0]).exists()
