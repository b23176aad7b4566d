// Package asterisk holds the sample configuration that operators copy into
// their Asterisk. The bench runs a real Asterisk on the very same files, so a
// sample that does not work fails a test.
package asterisk

import "embed"

// Samples are ari.conf, http.conf and extensions_callbridge.conf.
//
//go:embed ari.conf http.conf extensions_callbridge.conf
var Samples embed.FS
