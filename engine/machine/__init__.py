"""What this machine has: the ffmpeg program, GPUs and processors."""
