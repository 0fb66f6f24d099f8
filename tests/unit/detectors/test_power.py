"""How small an outage may be and still be flagged."""

from __future__ import annotations

import numpy as np

from detectors.bank import BankSettings, TenantBank
from detectors.power import detectable
from pipeline.model.vocabulary import OutcomeFamily
from tests.unit.detectors.test_bank import IOS, OWA, TEAMS, block, quiet_day


def test_a_client_used_an_hour_a_week_would_not_be_flagged_and_a_busy_one_would():
    rng = np.random.default_rng(2)
    bank = TenantBank("t", BankSettings(1.0, {90033: OutcomeFamily.SERVICE}))
    for day in range(9):
        counts = quiet_day(rng)
        idle = np.ones(1440, bool)
        idle[600:660] = day % 7 != 0
        for values in counts.values():
            values[2, idle] = 0
        bank.advance(block(day, counts))
    found = detectable(bank)
    assert found[TEAMS.service, TEAMS.client] == 1.0
    for cell in (IOS, OWA):
        assert found[cell.service, cell.client] < 0.5
