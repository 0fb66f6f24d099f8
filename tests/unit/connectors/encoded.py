"""Documents for the tests of encoders: usual ones, hostile ones, and any that the model allows."""

from __future__ import annotations

from hypothesis import strategies as st

from pipeline.model.documents import to_json
from pipeline.model.incident import AdvisoryMatch, Evidence
from pipeline.model.vocabulary import Client, Verdict
from tests.contracts.strategies import FLAGS, INCIDENTS
from tests.unit.report import sample_folder

# What ends a pair, a header, a line or a string in one of the formats, hides, or turns text.
HOSTILE = (
    '|x=\\y\\|\\= "q" \' \r\nCEF:0|Evil|E|1|1|e|10|externalId=inc-0:9\tsev=10\tLEEF:2.0|E|E|1|1|x09|\n'
    '{"a":1}\u202egpj.exe\u2066\u200b\u2028\u2029\u0085\x00\x1b[31m\x7f\ufeff\ud800 cs1=x rt=1 \\'
)
LONG = "x|=\\\n\u202e\U0001f600" * 10_000  # 70 kB of characters, each of them awkward
TURNING = "\u202e\u2066\u200b\u2028\u2029\x00\x1b\x7f\x85\ufeff\ud800"
DOCUMENTS = st.one_of(FLAGS, INCIDENTS).map(to_json)


def incident(**changes):
    return to_json(sample_folder.incident(**changes))


def flag(**changes):
    return to_json(sample_folder.flag(Client.OUTLOOK_IOS, **changes))


def hostile_incident(text=HOSTILE):
    return incident(
        headline=text,
        tenants=(text,),
        flag_ids=(text,),
        recurrence_of=(text,),
        evidence=(Evidence(Verdict.ATTACK, 1.0, text, {text: 1.0}),),
        advisory=AdvisoryMatch(text, 0.5, (text, text), 60.0, None, text, (text,)),
    )


def hostile_flag(text=HOSTILE):
    return flag(tenant=text, detector=text, detector_version=text, observed={text: 1.0})
