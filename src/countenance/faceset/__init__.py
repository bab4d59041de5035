"""The face set: the curated aligned faces of one person in one file, with a record per face.

``store`` is the file, ``curate`` decides what is worth keeping, ``follow`` finds faces frame by frame, ``extract`` runs
it all over videos and photos, ``decide`` tells people apart and screens ages, ``use`` is what training asks of a face
set, ``sheet`` draws it. Import from the modules; this package file stays empty so that it costs nothing.
"""
