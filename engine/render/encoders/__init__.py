"""Video encoders: each file has the options, presets and explained errors of one encoder."""
