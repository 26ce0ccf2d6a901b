"""Our own decoder layers in place of the model's while it is trained and measured; for all else the model's stay."""
