package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestRunAsProgram is no test: as a child of another test it is the program
// itself, with the words after "--".
func TestRunAsProgram(*testing.T) {
	if os.Getenv("CALLBRIDGE_AS_PROGRAM") != "1" {
		return
	}
	for i, a := range os.Args {
		if a == "--" {
			os.Args = append([]string{"callbridge"}, os.Args[i+1:]...)
			main()
		}
	}
}

// program is callbridge running as a process of its own.
type program struct {
	t   *testing.T
	cmd *exec.Cmd
	mu  sync.Mutex
	log strings.Builder
}

func startProgram(t *testing.T, dir string, env []string, args ...string) *program {
	t.Helper()
	p := &program{t: t, cmd: exec.CommandContext(t.Context(), os.Args[0], append([]string{"-test.run=^TestRunAsProgram$", "--"}, args...)...)}
	p.cmd.Dir = dir
	p.cmd.Env = append(append(os.Environ(), "CALLBRIDGE_AS_PROGRAM=1"), env...)
	p.cmd.Stdout = io.Discard
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	r, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for s := bufio.NewScanner(r); s.Scan(); {
			p.mu.Lock()
			p.log.WriteString(s.Text() + "\n")
			p.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		<-read
		if err := p.cmd.Wait(); err != nil && t.Context().Err() == nil {
			t.Errorf("callbridge %v: %v\n%s", args, err, p.text())
		}
	})
	return p
}

func (p *program) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// says waits for a text in the log.
func (p *program) says(text string) {
	p.t.Helper()
	eventually(p.t, "the log says "+text+":\n"+p.text(), func() bool { return strings.Contains(p.text(), text) })
}

// address is where the program serves its pages.
func (p *program) address() string {
	p.t.Helper()
	p.says("callbridge serves")
	_, rest, _ := strings.Cut(p.text(), "address=")
	addr, _, _ := strings.Cut(rest, " ")
	return "http://" + addr
}

func put(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func get(t *testing.T, url, token string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// TestReloadOnSIGHUP is `systemctl reload callbridge`: a good file counts at
// once, a bad one leaves the old one running and says what is wrong.
func TestReloadOnSIGHUP(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "callbridge.yaml", "listen: 127.0.0.1:0\nmetrics: {token: first-token}\n")
	p := startProgram(t, dir, nil, "serve", "-c", "callbridge.yaml")
	url := p.address() + "/metrics"
	hup := func() {
		t.Helper()
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	if code, _ := get(t, url, "first-token"); code != http.StatusOK {
		t.Fatalf("with the first token: %d", code)
	}

	put(t, dir, "callbridge.yaml", "listen: 127.0.0.1:1\nmetrics: {token: second-token}\nlog: {level: debug}\n")
	hup()
	p.says("was read again")
	p.says("keys=listen")
	if code, _ := get(t, url, "first-token"); code != http.StatusUnauthorized {
		t.Errorf("with the old token after the reload: %d", code)
	}

	put(t, dir, "callbridge.yaml", "lisen: nonsense\nmetrics: {token: third-token}\n")
	hup()
	p.says("the one in force stays")
	p.says("did you mean listen?")
	code, text := get(t, url, "second-token")
	if code != http.StatusOK {
		t.Errorf("a bad file changed the token: %d", code)
	}
	for _, want := range []string{"callbridge_config_last_reload_successful 0", `callbridge_config_reloads_total{result="refused"} 1`, `callbridge_config_reloads_total{result="done"} 1`} {
		if !strings.Contains(text, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
}

// TestServesHTTPSItself: a certificate in the configuration, the daemon
// answers over TLS and not without, and the doctor finds it by its address.
func TestServesHTTPSItself(t *testing.T) {
	dir := t.TempDir()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS() // for its certificate, which is good for 127.0.0.1
	cert := s.TLS.Certificates[0]
	roots := s.Client()
	s.Close()
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})))
	put(t, dir, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	put(t, dir, "callbridge.yaml", "listen: 127.0.0.1:0\ntls: {cert: cert.pem, key: key.pem}\n")
	p := startProgram(t, dir, nil, "serve", "-c", "callbridge.yaml")
	addr := strings.TrimPrefix(p.address(), "http://")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+addr+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := roots.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK || res.TLS == nil || res.TLS.Version < tls.VersionTLS12 {
		t.Errorf("HTTP %d", res.StatusCode)
	}
	if code, _ := get(t, "http://"+addr+"/healthz", ""); code == http.StatusOK {
		t.Error("it answers in clear too")
	}
}

// TestLogLevelBySignal: SIGUSR1 lets the running program log everything, and
// as before at the second time.
func TestLogLevelBySignal(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "callbridge.yaml", "listen: 127.0.0.1:0\n")
	p := startProgram(t, dir, nil, "serve", "-c", "callbridge.yaml")
	url := p.address()
	signal := func() {
		t.Helper()
		if err := p.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
	}
	get(t, url+"/healthz", "")
	signal()
	p.says("level=debug")
	get(t, url+"/readyz", "")
	p.says("path=/readyz")
	signal()
	p.says("level=info")
	if strings.Contains(p.text(), "path=/healthz") {
		t.Error("requests were logged before the signal")
	}
}
