"""Text normalisation: what is shown, turned into what is spoken, with a map between the two."""
