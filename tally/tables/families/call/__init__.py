"""Calls: connected components of channels and of the attempts that they were made for."""
