package ari

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"

	"callbridge/bridge/fault"
	"callbridge/pbx"
)

// emptyWAV is the length of a recording without sound: MixMonitor leaves the
// bare header when nobody talked.
const emptyWAV = 44

// OpenRecording returns the sound of a call: from RecordingDir if the file is
// there, else from Asterisk, which serves its own recording folder only. name
// is the file's name with or without extension. A file without sound does not
// exist for us. The caller closes the body and bounds the time by ctx.
func (p *PBX) OpenRecording(ctx context.Context, name string) (io.ReadCloser, string, int64, error) {
	name = path.Clean(strings.TrimPrefix(name, "/"))
	if !fs.ValidPath(name) || name == "." {
		return nil, "", 0, pbx.ErrNotFound
	}
	if p.cfg.RecordingDir != "" {
		body, kind, size, err := p.localRecording(name)
		if !errors.Is(err, pbx.ErrNotFound) {
			return body, kind, size, err
		}
	}
	bare := strings.TrimSuffix(name, soundExt(name))
	segments := strings.Split(bare, "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	resp, err := p.send(ctx, request{op: "recording", method: http.MethodGet,
		path: "/recordings/stored/" + strings.Join(segments, "/") + "/file"})
	if fault.KindOf(err) == fault.Gone && err != nil {
		return nil, "", 0, pbx.ErrNotFound
	}
	if err != nil {
		return nil, "", 0, err
	}
	if resp.ContentLength >= 0 && resp.ContentLength <= emptyWAV {
		_ = resp.Body.Close()
		return nil, "", 0, pbx.ErrNotFound
	}
	return resp.Body, soundType(resp.Header.Get("Content-Type"), name), resp.ContentLength, nil
}

// localRecording looks into the folder, which it never leaves.
func (p *PBX) localRecording(name string) (io.ReadCloser, string, int64, error) {
	names := []string{name}
	if soundExt(name) == "" {
		names = []string{name + ".wav", name + ".WAV", name + ".mp3", name + ".gsm", name}
	}
	for _, n := range names {
		f, err := os.OpenInRoot(p.cfg.RecordingDir, n)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, "", 0, fmt.Errorf("recording: %w", err)
		}
		st, err := f.Stat()
		if err != nil || !st.Mode().IsRegular() || st.Size() <= emptyWAV {
			_ = f.Close()
			continue
		}
		return f, soundType("", n), st.Size(), nil
	}
	return nil, "", 0, pbx.ErrNotFound
}

// soundExt returns the extension of a sound file, "" if name has none: ids of
// calls have dots in them ("1795323683.14").
func soundExt(name string) string {
	switch ext := path.Ext(name); strings.ToLower(ext) {
	case ".wav", ".wav49", ".mp3", ".gsm", ".ogg", ".opus", ".ulaw", ".alaw", ".sln", ".g722":
		return ext
	}
	return ""
}

func soundType(told, name string) string {
	if t, _, err := mime.ParseMediaType(told); err == nil && strings.HasPrefix(t, "audio/") {
		return t
	}
	switch strings.ToLower(soundExt(name)) {
	case ".mp3":
		return "audio/mpeg"
	case ".ogg", ".opus":
		return "audio/ogg"
	case ".gsm":
		return "audio/x-gsm"
	}
	return "audio/wav"
}
