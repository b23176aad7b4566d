package store

// HeldByHand is the reason of a hold that somebody wanted: no alarm is due.
const HeldByHand = "switched off by hand"
