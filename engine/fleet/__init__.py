"""Machines that render together: Ray's processes on each, who may join, and what each offers.

Ray is imported only in functions, so nothing changes without the extra `fleet`.
"""
