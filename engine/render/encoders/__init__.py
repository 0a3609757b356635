"""Video encoders: one file each, with its options, its presets and what its errors mean."""
