"""Everything that looks at a picture: faces, landmarks, identity, person mask, apparent age, sexual-content screen.

Import from the module files; this package stays cheap to import (no ONNX Runtime, no LiteRT).
"""
