// Command pack makes a Debian package of a built callbridge:
//
//	go run ./deploy/deb/pack BINARY VERSION DIR
//
// It needs nothing of Debian, so that a package can be made on any machine. It
// prints the name of the file it wrote. Run it in the repository's root.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/md5" //nolint:gosec // md5sums is what dpkg --verify reads
	"debug/elf"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/blakesmith/ar"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: pack BINARY VERSION DIR")
		os.Exit(2)
	}
	file, err := pack(os.Args[1], os.Args[2], os.Args[3])
	if err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
	fmt.Println(file)
}

// architectures are Debian's names of those a static binary may be built for.
var architectures = map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64", elf.EM_386: "i386", elf.EM_ARM: "armhf", elf.EM_RISCV: "riscv64"}

// debianVersion makes a version Debian understands of what git describe says:
// v1.2.0-5-gabc, or a bare commit, which gets a figure before it.
func debianVersion(v string) string {
	v = strings.ReplaceAll(strings.TrimPrefix(v, "v"), "-", "+")
	if !regexp.MustCompile(`^[0-9]+\.`).MatchString(v) {
		v = "0.0+" + v
	}
	return v
}

type file struct {
	name string // in the package, without the leading slash
	mode int64
	data []byte
}

func pack(binary, version, dir string) (string, error) {
	bin, err := elf.Open(binary)
	if err != nil {
		return "", fmt.Errorf("%s is no program for Linux: %w", binary, err)
	}
	arch, known := architectures[bin.Machine]
	if err := bin.Close(); err != nil {
		return "", err
	}
	if !known {
		return "", fmt.Errorf("%s is for %v, which Debian is not packed for here", binary, bin.Machine)
	}
	files, err := contents(binary)
	if err != nil {
		return "", err
	}
	at, err := stamp()
	if err != nil {
		return "", err
	}
	version = debianVersion(version)
	control, err := controls(files, version, arch)
	if err != nil {
		return "", err
	}
	controlTar, err := archive(control, at)
	if err != nil {
		return "", err
	}
	dataTar, err := archive(files, at)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	w := ar.NewWriter(&out)
	if err := w.WriteGlobalHeader(); err != nil {
		return "", err
	}
	for _, m := range []file{{name: "debian-binary", data: []byte("2.0\n")}, {name: "control.tar.gz", data: controlTar}, {name: "data.tar.gz", data: dataTar}} {
		if err := w.WriteHeader(&ar.Header{Name: m.name, ModTime: at, Mode: 0o644, Size: int64(len(m.data))}); err != nil {
			return "", err
		}
		if _, err := w.Write(m.data); err != nil {
			return "", err
		}
	}
	target := filepath.Join(dir, fmt.Sprintf("callbridge_%s_%s.deb", version, arch))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return target, os.WriteFile(target, out.Bytes(), 0o644)
}

// stamp is the time of the files: SOURCE_DATE_EPOCH makes two builds equal.
func stamp() (time.Time, error) {
	s := os.Getenv("SOURCE_DATE_EPOCH")
	if s == "" {
		return time.Now(), nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	return time.Unix(n, 0), nil
}

// contents are the files that get installed.
func contents(binary string) ([]file, error) {
	const doc = "usr/share/doc/callbridge/"
	var files []file
	add := func(name string, mode int64, source string) error {
		data, err := os.ReadFile(source)
		if err != nil {
			return err
		}
		if name == unit {
			data = unitOf(data)
		}
		files = append(files, file{name, mode, data})
		return nil
	}
	list := []struct {
		name, source string
		mode         int64
	}{
		{"usr/bin/callbridge", binary, 0o755},
		{unit, "deploy/systemd/callbridge.service", 0o644},
		{"etc/callbridge/callbridge.yaml", "deploy/deb/callbridge.yaml", 0o644},
		{doc + "README.md", "README.md", 0o644},
		{doc + "operators.md", "deploy/README.md", 0o644},
		{doc + "callbridge.sample.yaml", "deploy/callbridge.sample.yaml", 0o644},
		{doc + "settings.sample.yaml", "deploy/settings.sample.yaml", 0o644},
		{doc + "templates.md", "deploy/templates.md", 0o644},
	}
	for _, pattern := range []struct{ from, to string }{
		{"docs/*", doc}, {"deploy/asterisk/*.md", doc + "asterisk/"}, {"deploy/asterisk/*.conf", doc + "asterisk/"},
		{"deploy/prometheus/*.yml", doc + "prometheus/"}, {"deploy/grafana/*.json", doc + "grafana/"},
	} {
		found, err := filepath.Glob(pattern.from)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			if st, err := os.Stat(f); err == nil && st.Mode().IsRegular() {
				list = append(list, struct {
					name, source string
					mode         int64
				}{pattern.to + filepath.Base(f), f, 0o644})
			}
		}
	}
	for _, f := range list {
		if err := add(f.name, f.mode, f.source); err != nil {
			return nil, err
		}
	}
	return files, nil
}

const unit = "lib/systemd/system/callbridge.service"

// unitOf is the unit without the words for those who install by hand.
func unitOf(text []byte) []byte {
	_, body, _ := bytes.Cut(text, []byte("[Unit]\n"))
	return append([]byte("[Unit]\n"), bytes.ReplaceAll(body, []byte("/usr/local/bin/"), []byte("/usr/bin/"))...)
}

// controls are the files dpkg reads.
func controls(files []file, version, arch string) ([]file, error) {
	size := 0
	var sums strings.Builder
	for _, f := range files {
		size += len(f.data)
		fmt.Fprintf(&sums, "%x  %s\n", md5.Sum(f.data), f.name) //nolint:gosec // see above
	}
	out := []file{
		{"control", 0o644, fmt.Appendf(nil, `Package: callbridge
Version: %s
Architecture: %s
Maintainer: Callbridge <callbridge@localhost>
Section: comm
Priority: optional
Depends: passwd, ca-certificates
Installed-Size: %d
Description: joins a telephone system to the CRM
 Cards at the ring, calls in the CRM with everything that belongs to them,
 click-to-call; Asterisk on one side, Megaplan and retailCRM on the other.
`, version, arch, size/1024)},
		{"conffiles", 0o644, []byte("/etc/callbridge/callbridge.yaml\n")},
		{"md5sums", 0o644, []byte(sums.String())},
	}
	for _, script := range []string{"postinst", "prerm", "postrm"} {
		data, err := os.ReadFile("deploy/deb/" + script)
		if err != nil {
			return nil, err
		}
		out = append(out, file{script, 0o755, data})
	}
	return out, nil
}

// archive packs files with their folders, owned by root.
func archive(files []file, at time.Time) ([]byte, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	t := tar.NewWriter(z)
	head := func(name string, kind byte, mode int64, size int) error {
		return t.WriteHeader(&tar.Header{Typeflag: kind, Name: "./" + name, Mode: mode, Size: int64(size), ModTime: at, Uname: "root", Gname: "root", Format: tar.FormatGNU})
	}
	var folders []string
	for _, f := range files {
		for d := path.Dir(f.name); d != "."; d = path.Dir(d) {
			folders = append(folders, d+"/")
		}
	}
	slices.Sort(folders)
	for _, d := range slices.Compact(folders) {
		if err := head(d, tar.TypeDir, 0o755, 0); err != nil {
			return nil, err
		}
	}
	for _, f := range files {
		if err := head(f.name, tar.TypeReg, f.mode, len(f.data)); err != nil {
			return nil, err
		}
		if _, err := t.Write(f.data); err != nil {
			return nil, err
		}
	}
	if err := t.Close(); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
