"""What statistics and models find over mines, beside what others find on the same rows in one place."""
