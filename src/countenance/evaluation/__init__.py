"""How close a swap comes to the truth: pixel metrics (``metrics``) and whole clips (``compare``)."""
