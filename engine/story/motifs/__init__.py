"""Motifs: what a scene's words are about, and so what its drawn picture shows."""

from __future__ import annotations

from .depiction import Depiction, choose_depiction, depict_motifs
from .table import MOTIF_NAMES, MOTIFS, Kind, Motif
from .words import find_motifs

__all__ = [
    "MOTIFS",
    "MOTIF_NAMES",
    "Depiction",
    "Kind",
    "Motif",
    "choose_depiction",
    "depict_motifs",
    "find_motifs",
]
