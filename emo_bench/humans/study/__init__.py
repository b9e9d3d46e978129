"""Human studies: a page that collects votes, what makes it, and what becomes of the votes."""
