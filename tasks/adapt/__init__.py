"""Reads a person's footage into their kept library, and adapts the motion network to the person."""
