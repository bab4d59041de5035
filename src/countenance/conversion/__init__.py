"""Footage in, footage with the performer's face replaced out: track, swap, colour, mask, blend, as a bounded stream.

Import from the module files: :mod:`.pipeline` (convert), :mod:`.settings`, :mod:`.report`; this package stays cheap to
import.
"""
