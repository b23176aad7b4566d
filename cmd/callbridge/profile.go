package main

import (
	"errors"
	"os"
	"runtime/pprof"
)

// profileVariable names a file for a CPU profile of the daemon; callbridge
// load sets it.
const profileVariable = "CALLBRIDGE_CPUPROFILE"

// startProfile begins it, if one is wanted; stop ends it.
func startProfile(name string) (stop func() error, err error) {
	if name == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error { pprof.StopCPUProfile(); return f.Close() }, nil
}
