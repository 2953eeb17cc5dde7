"""`understudy demo`: a support team's weeks on a simulated clock, played through the real parts."""
