"""Video, photos and sound: in as upright RGB frames with exact times, out again with the same times and sound.

Import from the modules, so that this package stays cheap: :mod:`.probe` (what a file is), :mod:`.read` (frames, photos,
lists of sources), :mod:`.write` (a file that appears only when complete).
"""
