"""What is trained on a base model: which modules, with which ranks, and how PEFT counts it."""
