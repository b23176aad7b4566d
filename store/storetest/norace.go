//go:build !race

package storetest

// Slow says that the race detector is on; it is not.
const Slow = false
