"""Templates run in processes of their own, bounded in time, memory and output. What is here is imported by those."""
