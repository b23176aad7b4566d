package crm

import (
	"context"
	"crypto/rand"
)

type requestIDKey struct{}

// WithRequestID names what is being done: every request to a CRM made under
// ctx carries the id in X-Request-Id, and our log carries it too, so that the
// vendor's support and we speak of the same request.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID returns the id of ctx, or a fresh one.
func RequestID(ctx context.Context) string {
	if id, ok := ctx.Value(requestIDKey{}).(string); ok {
		return id
	}
	return "cb-" + rand.Text()[:16]
}
