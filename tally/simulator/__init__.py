"""A seeded simulator of campaigns: raw records from real bodies, with everything that goes wrong."""
