"""The Targets station: which modules of this model get an adapter, how large it is, and what that costs."""
