"""``countenance demo``: the main job on people who do not exist, and a page on how it went.

``run`` does it, ``page`` writes the report, ``pictures`` and ``charts`` draw what stands in it.
"""
