//go:build !linux

package main

import "os"

// terminal is false where we do not know how to hide what is typed: the
// password is then read from a pipe or a file.
func terminal(*os.File) bool { return false }

func silence(*os.File) func() { return func() {} }
