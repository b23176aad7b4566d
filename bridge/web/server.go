package web

import "net/http"

// New makes the handler of everything under one listener.
func New(d Deps) http.Handler { return http.NewServeMux() }
