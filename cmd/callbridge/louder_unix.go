//go:build unix

package main

import (
	"os"
	"syscall"
)

// louder are the signals that switch the log to debug and back.
func louder() []os.Signal { return []os.Signal{syscall.SIGUSR1} }
