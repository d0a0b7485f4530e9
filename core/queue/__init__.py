"""The queue: jobs and units as rows. Who is served next, what became of it, and how what was lost comes back."""
