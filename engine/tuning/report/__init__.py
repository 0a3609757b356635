"""What a tuning run says, for people: sentences, tables, plots and pictures, as a page, JSON, CSV and text."""
