"""A seeded simulator of campaigns: raw records made from real bodies, with all that can go wrong."""
