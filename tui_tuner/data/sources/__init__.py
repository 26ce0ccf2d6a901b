"""Where rows come from: files of each kind, saved data sets and hub ids, as a stream of rows with their place."""
