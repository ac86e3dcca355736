"""Tables 3 and 5 and figure 5: classes within groups, on fixed features."""
