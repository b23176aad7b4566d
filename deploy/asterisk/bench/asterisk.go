package bench

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"

	"callbridge/deploy/asterisk"
)

//go:embed etc/*.conf
var etc embed.FS

// modules are what the configuration uses; a version of Asterisk that lacks
// one does without it.
const modules = `
res_sorcery_config res_sorcery_astdb res_sorcery_memory res_timing_timerfd res_musiconhold res_rtp_asterisk res_crypto
res_http_websocket res_websocket_client res_stasis res_stasis_answer res_stasis_device_state res_stasis_playback
res_stasis_recording res_stasis_snoop res_ari res_ari_model res_ari_applications res_ari_asterisk res_ari_bridges
res_ari_channels res_ari_device_states res_ari_endpoints res_ari_events res_ari_playbacks res_ari_recordings
res_ari_sounds app_stasis
res_pjproject res_pjsip res_pjsip_session res_pjsip_pubsub res_pjsip_acl res_pjsip_authenticator_digest
res_pjsip_outbound_authenticator_digest res_pjsip_caller_id res_pjsip_diversion res_pjsip_dtmf_info
res_pjsip_endpoint_identifier_ip res_pjsip_endpoint_identifier_user res_pjsip_header_funcs res_pjsip_nat
res_pjsip_refer res_pjsip_registrar res_pjsip_rfc3326 res_pjsip_sdp_rtp chan_pjsip chan_bridge_media
bridge_builtin_features bridge_builtin_interval_features bridge_holding bridge_native_rtp bridge_simple bridge_softmix
codec_alaw codec_ulaw codec_resample codec_gsm format_pcm format_gsm format_sln format_wav
res_parking app_voicemail app_directed_pickup
pbx_config app_channelredirect app_dial app_exec app_mixmonitor app_playback app_queue app_stack app_userevent app_verbose app_cdr
func_callerid func_cdr func_channel func_cut func_devstate func_dialplan func_env func_global func_hangupcause
func_logic func_strings func_timeout func_uri res_curl func_curl
res_cdrel_custom cdr_custom res_clioriginate`

// render writes Asterisk's configuration: the bench's own files and the
// samples, changed only where they say that operators change them.
func (b *Bench) render() error {
	for _, dir := range []string{"etc", "run", "log/cdr-custom", "lib/keys", "cache", "spool/recording", "spool/voicemail", "spool/monitor", "spool/tmp"} {
		if err := os.MkdirAll(b.host(dir), 0o755); err != nil {
			return err
		}
	}
	files, err := b.moduleFiles()
	if err != nil {
		return err
	}
	values := map[string]any{
		"Dir": b.dir, "IP": b.ip, "SIPPort": sipPort, "TrunkIP": b.trunkIP, "TrunkPort": trunkPort, "Trunk": TrunkOf,
		"RingTime": 4, "Slots": slots(), "Numbers": []int{1, 2, 3, 4}, "Phone": Extension, "PhonePort": b.phonePort,
		"Modules": strings.TrimPrefix(filepath.Dir(files[0]), b.chroot), "ModuleFiles": names(files),
	}
	all, err := template.ParseFS(etc, "etc/*.conf")
	if err != nil {
		return err
	}
	for _, t := range all.Templates() {
		var out bytes.Buffer
		if err := t.Execute(&out, values); err != nil {
			return err
		}
		if err := os.WriteFile(b.host(path.Join("etc", t.Name())), out.Bytes(), 0o644); err != nil {
			return err
		}
	}
	changes := map[string][]string{
		"ari.conf":  {"password = change-me", "password = " + b.Password},
		"http.conf": {"bindaddr = 127.0.0.1", "bindaddr = " + b.ip.String()},
		// The trunk of the slot whose phone it is.
		"extensions_callbridge.conf": {"Set(CB_RING=45)", "Set(CB_RING=4)", "Set(CB_TRUNK=trunk)", "Set(CB_TRUNK=${TRUNK})"},
	}
	return fs.WalkDir(asterisk.Samples, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(asterisk.Samples, name)
		if err != nil {
			return err
		}
		for change := range slices.Chunk(changes[name], 2) {
			if bytes.Count(text, []byte(change[0])) != 1 {
				return fmt.Errorf("sample %s must have %q once", name, change[0])
			}
			text = bytes.Replace(text, []byte(change[0]), []byte(change[1]), 1)
		}
		return os.WriteFile(b.host(path.Join("etc", name)), text, 0o644)
	})
}

func slots() []int {
	out := make([]int, Slots)
	for i := range out {
		out[i] = i
	}
	return out
}

// moduleFiles returns the paths of those modules that this Asterisk has.
func (b *Bench) moduleFiles() ([]string, error) {
	have, _ := filepath.Glob(filepath.Join(b.chroot, "usr/lib/*/asterisk/modules/*.so"))
	if len(have) == 0 { // where Debian kept them up to Asterisk 16
		have, _ = filepath.Glob(filepath.Join(b.chroot, "usr/lib/asterisk/modules/*.so"))
	}
	var out []string
	for _, m := range strings.Fields(modules) {
		if i := slices.IndexFunc(have, func(p string) bool { return filepath.Base(p) == m+".so" }); i >= 0 {
			out = append(out, have[i])
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no Asterisk modules in %s; remove the folder and run `make setup`", b.chroot)
	}
	return out, nil
}

func names(paths []string) []string {
	out := make([]string, len(paths))
	for i, p := range paths {
		out[i] = filepath.Base(p)
	}
	return out
}

// Launch starts Asterisk and returns when ARI answers: refused, then 404, then
// 503, then 200. Start has done it; it is for tests that stopped or killed it.
func (b *Bench) Launch(t testing.TB) {
	t.Helper()
	args := []string{b.chroot, "/usr/sbin/asterisk", "-f", "-C", path.Join(b.dir, "etc/asterisk.conf")}
	if os.Geteuid() != 0 {
		args = append([]string{fmt.Sprintf("--userspec=%d:%d", os.Getuid(), os.Getgid())}, args...)
	}
	p, err := start(asRoot("chroot", args...))
	if err != nil {
		t.Fatalf("bench: start Asterisk: %v", err)
	}
	b.asterisk = p
	dead := false
	ready := wait(20*time.Second, func() bool {
		select {
		case <-p.done:
			dead = true
			return true
		default:
		}
		return b.answers()
	})
	if dead || !ready {
		t.Fatalf("bench: Asterisk does not answer (ended: %v)\n%s\n%s", dead, p.out(), tail(b.host("log/messages.log"), 40))
	}
}

func (b *Bench) answers() bool {
	req, err := http.NewRequest(http.MethodGet, b.URL+"/asterisk/info?only=status", nil)
	if err != nil {
		return false
	}
	req.SetBasicAuth(b.User, b.Password)
	client := http.Client{Timeout: time.Second}
	res, err := client.Do(req)
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// Stop ends Asterisk in order: it hangs up all calls and says so first.
func (b *Bench) Stop(t testing.TB) { b.end(t, syscall.SIGTERM) }

// Kill ends Asterisk as a crash does. Launch starts it anew with the same files.
func (b *Bench) Kill(t testing.TB) { b.end(t, syscall.SIGKILL) }

func (b *Bench) end(t testing.TB, how syscall.Signal) {
	t.Helper()
	p := b.asterisk
	if p == nil {
		return
	}
	pid := b.pid()
	b.asterisk = nil
	for _, sig := range []syscall.Signal{how, syscall.SIGKILL} {
		if pid > 0 {
			_ = syscall.Kill(pid, sig)
		}
		select {
		case <-p.done:
			return
		case <-time.After(10 * time.Second):
		}
	}
	t.Errorf("bench: Asterisk (process %d) does not end", pid)
}
