"""Input that means harm: mutated files, bombs, names, folders. Long forms: ``hostile_campaigns.py``."""
