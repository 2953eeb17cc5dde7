"""The sample company and the generic dialogues: synthetic data, written for this project."""

from feedback.samples.company import (
    Company,
    Document,
    Intent,
    Split,
    is_on_brand,
    is_right,
    load_company,
)
from feedback.samples.generic import (
    Dialogue,
    Probe,
    arithmetic_probes,
    context_probes,
    echo_probes,
    fact_probes,
    generic_dialogues,
    greeting_probes,
    refusal_probes,
)
from feedback.samples.kinds import GeneralFact, Kind, general_facts

__all__ = [
    "Company",
    "Dialogue",
    "Document",
    "GeneralFact",
    "Intent",
    "Kind",
    "Probe",
    "Split",
    "arithmetic_probes",
    "context_probes",
    "echo_probes",
    "fact_probes",
    "general_facts",
    "generic_dialogues",
    "greeting_probes",
    "is_on_brand",
    "is_right",
    "load_company",
    "refusal_probes",
]
