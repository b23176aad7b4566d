// Package webtest drives a real Chromium for tests of pages.
package webtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience bounds every single step: a page that does not come to it is broken.
const patience = 45 * time.Second

// Browser is one tab of a Chromium of its own.
type Browser struct {
	t   testing.TB
	ctx context.Context

	mu   sync.Mutex
	said []string // exceptions and console errors of the pages
}

// Open starts Chromium with one tab of the given size. A machine without
// Chromium fails the test and says what to install.
func Open(t testing.TB, width, height int64) *Browser {
	t.Helper()
	path := find()
	if path == "" {
		t.Fatal("no Chromium was found; install it with: apt-get install chromium")
	}
	alloc, cancelAlloc := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("headless", "new"), chromedp.Flag("no-sandbox", true), chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-quic", true), chromedp.Flag("no-first-run", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("hide-scrollbars", true), chromedp.Flag("lang", "en"))
	t.Cleanup(cancelAlloc)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	b := &Browser{t: t, ctx: ctx}
	// The first run starts the browser; it must not end with a shorter context.
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, height)); err != nil {
		t.Fatalf("Chromium does not start: %v", err)
	}
	errs := chromedp.Events(ctx, runtime.ExceptionThrown)
	go func() {
		for ev, err := range errs {
			if err != nil {
				return
			}
			text := "exception"
			if d := ev.ExceptionDetails; d != nil {
				text = d.Text
				if d.Exception != nil {
					text += ": " + d.Exception.Description
				}
			}
			b.mu.Lock()
			b.said = append(b.said, text)
			b.mu.Unlock()
		}
	}()
	return b
}

func find() string {
	if p := os.Getenv("CALLBRIDGE_CHROMIUM"); p != "" {
		return p
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			return p
		}
	}
	return ""
}

// Errors returns the exceptions thrown in pages so far.
func (b *Browser) Errors() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.said...)
}

// Do runs steps; the test ends if one fails.
func (b *Browser) Do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	for n, s := range steps {
		if err := chromedp.Do(ctx, s); err != nil {
			b.Shot("failed")
			b.t.Fatalf("step %d: %v; page says: %s; exceptions: %v", n+1, err, b.excerpt(), b.Errors())
		}
	}
}

func (b *Browser) excerpt() string {
	ctx, cancel := context.WithTimeout(b.ctx, 2*time.Second)
	defer cancel()
	s, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + " " + document.body.innerText.slice(0, 500)`))
	if err != nil {
		return err.Error()
	}
	return s
}

// Go opens an address.
func (b *Browser) Go(url string) { b.t.Helper(); b.Do(chromedp.Navigate(url)) }

// Size changes the tab's size.
func (b *Browser) Size(width, height int64) {
	b.t.Helper()
	b.Do(chromedp.EmulateViewport(width, height))
}

// Dark and Light set what the system prefers.
func (b *Browser) Dark()  { b.t.Helper(); b.scheme("dark") }
func (b *Browser) Light() { b.t.Helper(); b.scheme("light") }

func (b *Browser) scheme(v string) {
	b.t.Helper()
	b.Do(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: v}}})
		return chromedp.Void{}, err
	})
}

// Click waits for an element and clicks it.
func (b *Browser) Click(sel string) {
	b.t.Helper()
	b.Do(chromedp.Click(chromedp.CSS(sel), chromedp.NodeVisible))
}

// Type writes into a field.
func (b *Browser) Type(sel, text string) {
	b.t.Helper()
	b.Do(chromedp.SendKeys(chromedp.CSS(sel), text, chromedp.NodeVisible))
}

// Press sends keys to whatever has the focus.
func (b *Browser) Press(keys string) { b.t.Helper(); b.Do(chromedp.KeyEvent(keys)) }

// See waits until an element is visible.
func (b *Browser) See(sel string) { b.t.Helper(); b.Do(chromedp.WaitVisible(chromedp.CSS(sel))) }

// Gone waits until no such element is left.
func (b *Browser) Gone(sel string) { b.t.Helper(); b.Do(chromedp.WaitNotPresent(chromedp.CSS(sel))) }

// Text returns what people read in an element.
func (b *Browser) Text(sel string) string {
	b.t.Helper()
	return Eval[string](b, fmt.Sprintf(`document.querySelector(%q)?.innerText ?? ""`, sel))
}

// Until waits until a JavaScript expression is true.
func (b *Browser) Until(expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	// Not chromedp.Poll: it is lost when the page navigates, and needs a
	// Content-Security-Policy that lets text be run as code.
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`(() => { try { return !!(`+expression+`); } catch (_) { return false; } })()`))
		if err == nil && ok {
			return
		}
		select {
		case <-ctx.Done():
			b.Shot("failed")
			b.t.Fatalf("never true: %s: %v; page says: %s; exceptions: %v", expression, err, b.excerpt(), b.Errors())
		case <-tick.C:
		}
	}
}

// Eval returns the value of a JavaScript expression.
func Eval[T any](b *Browser, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

var unfit = regexp.MustCompile(`[^a-z0-9_-]+`)

// Shot saves a picture of the page in the folder named by CALLBRIDGE_SCREENSHOTS,
// for people to look at; without it nothing is saved.
func (b *Browser) Shot(name string) {
	b.t.Helper()
	dir := os.Getenv("CALLBRIDGE_SCREENSHOTS")
	if dir == "" {
		return
	}
	// A card that is still fading in is no picture for people.
	b.Until(`document.getAnimations().every((a) => a.playState !== "running" || a.effect.getTiming().iterations === Infinity)`)
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Logf("no screenshot %s: %v", name, err)
		return
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	file := filepath.Join(dir, unfit.ReplaceAllString(strings.ToLower(name), "-")+".png")
	if err := os.WriteFile(file, png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}
