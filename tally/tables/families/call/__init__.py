"""Calls: connected components of channels, and the attempts that they belong to."""
