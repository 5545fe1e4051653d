"""Asterisk Manager Interface: packets, and what their events say about calls and operators."""
