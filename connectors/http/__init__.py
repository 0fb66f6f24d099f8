"""HTTP as all connectors speak it: one client, one budget for each service, one paging guard."""
