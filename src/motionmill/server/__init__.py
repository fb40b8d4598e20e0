"""HTTP and pages: motions over the network, and people who rate them."""
