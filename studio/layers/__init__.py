"""The tree of layers: nodes, their model, how they are drawn, and the view with search and selection."""
