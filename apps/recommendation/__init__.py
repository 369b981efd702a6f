"""Recommendation: rate a few films and get a list you would watch, with predicted stars and reasons."""
