"""Motifs: what a scene's words are about, and so what its drawn picture shows."""

from __future__ import annotations

from .composition import Composition, choose_composition, compose_motifs
from .table import MOTIF_NAMES, MOTIFS, Kind, Motif
from .words import find_motifs

__all__ = [
    "MOTIFS",
    "MOTIF_NAMES",
    "Composition",
    "Kind",
    "Motif",
    "choose_composition",
    "compose_motifs",
    "find_motifs",
]
