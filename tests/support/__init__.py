"""What several tests share: real programs run, real pictures decoded, and every tolerance."""
