"""``outrider check``: what is configured, tried from this machine, one finding for each step."""
