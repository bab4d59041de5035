"""Training: one shared encoder and a decoder per person, trained on randomly distorted aligned faces."""
