// Package docker holds the recipe of the container image and a compose file.
// Its test needs no Docker: it looks whether all they name is there and whether
// the program takes the configuration.
package docker

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"callbridge/bridge/config"

	"go.yaml.in/yaml/v3"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestComposeNamesWhatIsThere(t *testing.T) {
	vars := map[string]string{}
	for _, line := range strings.Split(read(t, "env.sample"), "\n") {
		if k, v, ok := strings.Cut(line, "="); ok {
			vars[k] = v
		}
	}
	var c struct {
		Services map[string]struct {
			Image       string
			Volumes     []string
			Environment yaml.Node
		}
		Volumes map[string]any
	}
	text := read(t, "compose.yaml")
	if err := yaml.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	for name, s := range c.Services {
		if s.Image != "" && !strings.Contains(s.Image, ":") {
			t.Errorf("%s: the image %s has no version", name, s.Image)
		}
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if _, named := c.Volumes[from]; named {
				continue
			}
			if st, err := os.Stat(from); err != nil || st.IsDir() {
				t.Errorf("%s: the file %s is not there", name, from)
			}
		}
	}
	for _, file := range []string{text, read(t, "callbridge.yaml")} {
		for _, m := range regexp.MustCompile(`\$\{([A-Z_]+)`).FindAllStringSubmatch(file, -1) {
			if vars[m[1]] == "" {
				t.Errorf("env.sample lacks %s", m[1])
			}
		}
	}
	cfg, err := config.Parse([]byte(read(t, "callbridge.yaml")), "callbridge.yaml", func(n string) string { return vars[n] })
	if err != nil {
		t.Fatal(err)
	}
	if cfg.PBX[0].Password.Reveal() != vars["CALLBRIDGE_ARI_PASSWORD"] {
		t.Error("the password of ARI does not come from the environment")
	}
	for _, name := range []string{"prometheus.yml", "grafana.yml", "dashboards.yml"} {
		var any map[string]any
		if err := yaml.Unmarshal([]byte(read(t, name)), &any); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestImageIsStaticAndUnprivileged(t *testing.T) {
	text := read(t, "Dockerfile")
	for _, want := range []string{"CGO_ENABLED=0", "FROM scratch", "USER 65532", "ca-certificates.crt", "golang:1.26"} {
		if !strings.Contains(text, want) {
			t.Errorf("the recipe lacks %s", want)
		}
	}
}
