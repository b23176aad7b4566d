package megaplantest

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
)

// filePath takes uploads; it lies beside the API, not in it (3.1).
const filePath = "/api/file"

// upload keeps the files of a multipart form in the field files[].
func (s *Server) upload(r *http.Request, body []byte) ([]byte, *failure) {
	if f := s.authorized(r, object{}); f != nil {
		return nil, f
	}
	if r.Method != http.MethodPost {
		return nil, &failure{http.StatusMethodNotAllowed, "", "Method Not Allowed"}
	}
	kind, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "multipart/form-data" {
		return nil, invalid("", "Content-Type is not multipart/form-data")
	}
	form, err := multipart.NewReader(bytes.NewReader(body), params["boundary"]).ReadForm(8 << 20)
	if err != nil || len(form.File["files[]"]) == 0 {
		return nil, invalid("files[]", `field "files[]" is required`)
	}
	c := &call{s: s, query: object{}}
	res := result{list: true}
	for _, h := range form.File["files[]"] {
		in, err := h.Open()
		if err != nil {
			return nil, invalid("files[]", err.Error())
		}
		content, err := io.ReadAll(in)
		if err != nil {
			return nil, invalid("files[]", err.Error())
		}
		ext := h.Filename[strings.LastIndex(h.Filename, ".")+1:]
		e := s.insert("File", object{"name": h.Filename, "extension": ext, "size": len(content), "mimeType": h.Header.Get("Content-Type")})
		e.data["path"] = "/attach/" + e.id + "/" + h.Filename
		s.content[e.id] = content
		res.many = append(res.many, e)
	}
	return c.render(res, false)
}

// attached answers the download of an uploaded file, with a token as well.
func (s *Server) attached(w http.ResponseWriter, r *http.Request) bool {
	id, ok := strings.CutPrefix(r.URL.Path, "/attach/")
	if !ok || r.Method != http.MethodGet {
		return false
	}
	id, _, _ = strings.Cut(id, "/")
	content, found := s.content[id]
	switch f := s.authorized(r, object{}); {
	case f != nil:
		w.WriteHeader(f.status)
	case !found:
		w.WriteHeader(http.StatusNotFound)
	default:
		w.Header().Set("Content-Type", fmt.Sprint(s.get("File", id).data["mimeType"]))
		_, _ = w.Write(content)
	}
	return true
}

func (c *call) shareURL() (result, *failure) {
	e, f := c.target("File")
	if f != nil {
		return result{}, f
	}
	return result{raw: object{"link": "https://share.example/" + e.id}}, nil
}
