"""Customers: one person as one business number sees them, and whether they replied."""
