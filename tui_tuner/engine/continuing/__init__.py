"""Goes on from an adapter: loads every tensor of it, and proves before the first step that all of it is trained."""
