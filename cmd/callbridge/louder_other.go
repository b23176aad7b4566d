//go:build !unix

package main

import "os"

// louder is empty where there is no signal for it; REST does the same.
func louder() []os.Signal { return nil }
