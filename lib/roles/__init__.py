"""The roles that deploy: one per stack, allowed what deploying that stack takes and nothing else.

They are made from the plan: what a stack registers decides what its team may do, and on which names. So a new resource
in a stack is a new line in its team's policy, and one that no line is known for is refused.
"""
