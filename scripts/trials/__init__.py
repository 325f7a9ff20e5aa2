"""What `scripts/reliability.py` puts runs through."""
