"""Quality as the setting: from a few probed frames of a segment to the crf with which it reaches a VMAF."""
