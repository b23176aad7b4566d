package web

// TokenHash is what the store keeps of a session's token. callbridge load
// makes sessions with it for thousands of agents, where signing in thousands
// of times would measure the password hash.
func TokenHash(token string) string { return digest(token) }
