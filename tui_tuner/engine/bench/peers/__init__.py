"""Our steps beside those of other libraries: the same weights, tokens and adapters, each in a process of its own."""
