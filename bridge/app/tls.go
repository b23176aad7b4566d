package app

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"callbridge/bridge/config"
)

// certificates gives the certificate of the files, read again when they change:
// who renews it (certbot) need not tell us. A renewal that cannot be read, such
// as one half written, leaves the old one in use.
type certificates struct {
	files func() config.TLS
	log   *slog.Logger

	mu     sync.Mutex
	read   config.TLS // what cert was read from
	stamps [2]time.Time
	cert   *tls.Certificate
}

func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.files()
	stamps := [2]time.Time{changedAt(f.Cert), changedAt(f.Key)}
	if c.cert != nil && f == c.read && stamps == c.stamps {
		return c.cert, nil
	}
	cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		if c.cert == nil {
			return nil, err
		}
		if stamps != c.stamps || f != c.read { // said once for each change
			c.log.Error("the certificate cannot be read; the old one stays in use", "err", err)
			c.read, c.stamps = f, stamps
		}
		return c.cert, nil
	}
	if c.cert != nil {
		c.log.Info("the certificate was read again", "until", cert.Leaf.NotAfter)
	}
	c.cert, c.read, c.stamps = &cert, f, stamps
	return c.cert, nil
}

func changedAt(file string) time.Time {
	st, err := os.Stat(file)
	if err != nil {
		return time.Time{}
	}
	return st.ModTime()
}

// behindProxy puts the visitor's address in the place of the proxy's, if the
// proxy is one of trusted_proxies. Sign-ins are counted by it.
func (a *App) behindProxy(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if list := a.live.Load().Proxies; len(list) > 0 {
			if ip, err := visitor(r.RemoteAddr, r.Header.Values("X-Forwarded-For"), list); err == nil {
				r2 := *r
				r2.RemoteAddr = net.JoinHostPort(ip, "0")
				r = &r2
			}
		}
		next.ServeHTTP(w, r)
	})
}

var errNotForwarded = errors.New("not forwarded by a trusted proxy")

// visitor is the last address of the chain that no trusted proxy has: what
// stands left of it anybody can invent.
func visitor(peer string, forwarded, trusted []string) (string, error) {
	var nets []netip.Prefix
	for _, t := range trusted {
		if n, err := config.Network(t); err == nil { // Validate has refused others
			nets = append(nets, n)
		}
	}
	known := func(ip netip.Addr) bool {
		return slices.ContainsFunc(nets, func(n netip.Prefix) bool { return n.Contains(ip.Unmap()) })
	}
	from, err := netip.ParseAddrPort(peer)
	if err != nil || !known(from.Addr()) {
		return "", errNotForwarded
	}
	chain := strings.Split(strings.Join(forwarded, ","), ",")
	for _, text := range slices.Backward(chain) {
		ip, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil {
			break // what a trusted proxy wrote is an address
		}
		if !known(ip) {
			return ip.Unmap().String(), nil
		}
	}
	return "", errNotForwarded
}
