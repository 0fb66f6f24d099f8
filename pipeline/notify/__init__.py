"""What people are told: routes, groups, silences, and the words of a notice."""
