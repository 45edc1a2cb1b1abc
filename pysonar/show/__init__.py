"""What the scientist is shown: tables, and a campaign while it runs."""
