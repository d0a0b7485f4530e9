"""Who may do what: people, their rights, their tokens, and the record of what they did."""
