"""The rules of the house for what is deployed, judged alike in the plan, in tests and by the real engine."""
