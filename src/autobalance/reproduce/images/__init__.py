"""Tables 1 and 4, figures 3 and 4, transfer and cost: long-tailed images and whole networks."""
