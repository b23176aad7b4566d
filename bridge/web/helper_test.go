package web

import (
	"context"

	"callbridge/pbx"
)

func refusal(code string) error { return &pbx.Refusal{Code: code, Text: "refused: " + code} }

func withVisitor(ctx context.Context, v *visitor) context.Context {
	return context.WithValue(ctx, visitorKey{}, v)
}
