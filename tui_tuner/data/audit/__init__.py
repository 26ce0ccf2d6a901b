"""The check of labels: two methods compared, nothing lost, ends trained, lengths counted. Reads rows, changes none."""
