package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// plays fetches a part of a call's recording by the link the CRM got.
func (p *program) plays(t *testing.T, call string) {
	t.Helper()
	link := ""
	p.eventually("the CRM has a link to the recording", func() error {
		for _, o := range p.crms["megaplan"].Objects() {
			if o.Kind == "call" && strings.Contains(o.Value("key"), call) {
				if link = o.Value("record"); link != "" {
					return nil
				}
			}
		}
		return fmt.Errorf("call %s has none", call)
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Range", "bytes=44-1043")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	sound, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusPartialContent || len(sound) != 1000 || !strings.HasPrefix(res.Header.Get("Content-Type"), "audio/") {
		t.Errorf("the recording: %s, %d bytes of %s, %v", res.Status, len(sound), res.Header.Get("Content-Type"), err)
	}
}
