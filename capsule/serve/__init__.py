"""HTTP: routes, limits on clients, metrics."""
