"""Jobs: kept durably, rendered by isolated workers, submitted and watched over ZeroMQ."""
