"""Conversations from elsewhere: read into a neutral form, of which scenarios and cassettes are made."""
