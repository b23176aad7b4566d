package megaplan

import (
	"encoding/json"
	"testing"

	"callbridge/crm"
)

// FuzzAnswer: whatever comes over the wire, it gives a value or an error.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		`{"meta":{"status":200,"errors":[],"pagination":[]},"data":{"contentType":"Employee","id":"1"}}`,
		`{"meta":{"status":"422","errors":{"field":[],"message":{}},"pagination":{"hasMoreNext":"yes"}},"data":null}`,
		`{"meta":[],"data":[{"contentType":"ContractorHuman","id":1,"responsibles":{"contentType":"Employee","id":7,"name":null},"contactInfo":"x"}]}`,
		`{"data":{"employees":{"id":"1"},"users":[null,[],{"contentType":"ContractorHuman","id":"2","company":{"contentType":"ContractorHuman","id":"2"}}]}}`,
		`<html>`, ``, `{"error":5,"error_description":[]}`,
	} {
		f.Add(s, 200)
		f.Add(s, 422)
	}
	f.Fuzz(func(t *testing.T, body string, status int) {
		for _, path := range []string{"/callRoute?x", tokenPath, "/todo/5"} {
			_ = classify(crm.Answer{Path: path, Status: status, Body: []byte(body)})
		}
		var env envelope
		if json.Unmarshal([]byte(body), &env) != nil {
			return
		}
		_ = env.Meta.Errors
		_ = refused(env.Meta.Errors).Error()
		for _, out := range []any{&route{}, &many[contractor]{}, &many[deal]{}, &employee{}, &many[userConfig]{}, &thing{}, &many[category]{}, &many[descriptor]{}} {
			_ = decode(env.Data, out)
		}
	})
}
