"""The marks of a render and their proof: visible label, invisible watermark, signed Content Credentials, verification.

Import from the modules: ``label``, ``watermark``, ``manifest``, ``sign``, ``verify``.
"""
