"""The screens of the app. They fold events and edit recipes; they never import torch."""
