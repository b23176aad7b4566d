//go:build race

package track_test

// slow says that the race detector is on.
const slow = true
