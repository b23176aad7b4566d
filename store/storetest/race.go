//go:build race

package storetest

// Slow says that the race detector is on. SQLite, which is Go code here, takes
// twenty times as long under it.
const Slow = true
