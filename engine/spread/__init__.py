"""A video that several machines draw: its plan as plain data, and one segment of it drawn anywhere."""
