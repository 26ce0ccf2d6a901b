"""The app. Screens edit a draft recipe, show its plan, and fold the events of runs; they never import torch.

`app` holds the stations; each station has a folder of its own. What several stations need is in `widgets`, in
`dialogs`, in `look` (colours and signs), in `terminal` (what the app runs in) and in the modules here. Text from
outside passes `shown` before it reaches a widget.
"""
