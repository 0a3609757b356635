"""What this machine can do, found by trying: ffmpeg, encoders, GPUs, processors."""
