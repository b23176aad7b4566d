package web

import "callbridge/pbx"

func refusal(code string) error { return &pbx.Refusal{Code: code, Text: "refused: " + code} }
