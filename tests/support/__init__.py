"""Helpers that several tests share: real programs, real pictures, and all tolerances."""
