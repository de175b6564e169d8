package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const aboutTop = `Show what the traffic managers see: the keys of most use with their limits, how
many calls gateways refuse because of them and until when they are throttled; the
gateways with the delay of their events and what they refuse; and the traffic
managers themselves.

Gateways tell once a second what they refuse. Bursts, backend limits and deny
policies are held by each gateway for itself: of these, only the refusals show.

On a terminal the view is live, until ^C. Elsewhere, with --once or as JSON it is
printed once.

Of traffic managers that share the work, name each with --url: what they count of
one key and of one gateway is shown as one.

Where counters are shared through Redis or Valkey, each node that does so is shown,
and each limit: how exactly it is held, how stale what nodes know of it is, by how
much it was exceeded, and what the store costs. Gateways without a traffic manager
are asked themselves, at their management port, with --gateway.

A traffic manager on this machine may have a certificate that it made itself. One
on another machine is asked over HTTPS only, and its certificate is checked.`

// topFlags are the flags of weir top.
type topFlags struct {
	urls         []string
	gateways     []string
	user         string
	passwordFile string
	insecure     bool
	ca           string
	interval     time.Duration
	keys         int
	once         bool
	output       output
}

const (
	defaultManager = "https://localhost:9443"
	defaultGateway = "http://localhost:9764"
	defaultUser    = "admin:admin"
	maxTopKeys     = 2048
)

func newTop(e Env) *cobra.Command {
	var f topFlags
	c := &cobra.Command{
		Use:     "top",
		Short:   "Show live what traffic managers count and decide",
		Long:    aboutTop,
		GroupID: groupServe,
		Example: `  weir top
  weir top --url https://tm1:9443 --url https://tm2:9443 --user ops --password-file ops.txt
  weir top --gateway http://localhost:9764 --gateway http://gw2:9764
  weir top --once -o json`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			w, err := f.watch(c)
			if err != nil {
				return err
			}
			if !f.once && !f.output.json() {
				if t, ok := openTerminal(e.Stdout, e.Getenv); ok {
					return w.live(c.Context(), t, f.interval)
				}
			}
			return f.printOnce(c, w)
		},
	}
	s := c.Flags()
	s.StringArrayVar(&f.urls, "url", []string{defaultManager}, "management port of a traffic manager; may be given several times")
	s.StringArrayVar(&f.gateways, "gateway", nil, "management port of a gateway that has no traffic manager; may be given several times")
	s.StringVarP(&f.user, "user", "u", "", "user there, as NAME or NAME:PASSWORD (default on this machine: "+defaultUser+")")
	s.StringVar(&f.passwordFile, "password-file", "", "file with the password of --user")
	s.BoolVarP(&f.insecure, "insecure", "k", false, "take any certificate, and no TLS at all")
	s.StringVar(&f.ca, "cacert", "", "certificate authorities in PEM (default: those of the system)")
	s.DurationVar(&f.interval, "interval", time.Second, "how often to look")
	s.IntVarP(&f.keys, "keys", "n", 20, "keys to show where it is printed once")
	s.BoolVar(&f.once, "once", false, "print once")
	f.output.flag(c, "table")
	return c
}

// watch returns who asks the traffic managers and the gateways that the flags name.
func (f *topFlags) watch(c *cobra.Command) (*topWatch, error) {
	if f.keys < 1 || f.keys > maxTopKeys {
		return nil, usagef(c, "--keys %d is not from 1 to %d", f.keys, maxTopKeys)
	}
	if f.interval < 100*time.Millisecond || f.interval > time.Hour {
		return nil, usagef(c, "--interval %s is not from 100ms to 1h", f.interval)
	}
	w := &topWatch{keys: f.keys}
	if len(f.gateways) == 0 || c.Flags().Changed("url") {
		if err := f.addManagers(c, w); err != nil {
			return nil, err
		}
	}
	for _, text := range f.gateways {
		at, err := f.node(c, "gateway", text, defaultGateway)
		if err != nil {
			return nil, err
		}
		at.absent = "it tells nothing of counters that are shared"
		w.gateways = append(w.gateways, at)
	}
	return w, nil
}

// addManagers has w ask the traffic managers that the flags name.
func (f *topFlags) addManagers(c *cobra.Command, w *topWatch) error {
	name, password, err := f.login(c)
	if err != nil {
		return err
	}
	for _, text := range f.urls {
		m, err := f.node(c, "url", text, defaultManager)
		if err != nil {
			return err
		}
		u, _ := url.Parse(m.url) // which it has just been
		here := isLoopback(u.Hostname())
		switch {
		case name == "" && !here:
			return usagef(c, "--user is missing: %s is another machine", u.Hostname())
		case u.Scheme == "http" && !here && !f.insecure:
			return usagef(c, "--url %q: on another machine, a password needs https", text)
		}
		m.name, m.password, _ = strings.Cut(defaultUser, ":")
		if name != "" {
			m.name, m.password = name, password
		}
		w.managers = append(w.managers, m)
	}
	return nil
}

// node returns what is asked at a URL, which a flag names and which looks like example.
func (f *topFlags) node(c *cobra.Command, flag, text, example string) (*topNode, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return nil, usagef(c, "--%s %q: write it as %s", flag, text, example)
	}
	config, err := clientTLS(f.insecure || isLoopback(u.Hostname()) && f.ca == "", f.ca)
	if err != nil {
		return nil, err
	}
	return newTopNode(strings.TrimSuffix(text, "/"), config), nil
}

// login returns the user and the password that the flags say; none if there is no
// user.
func (f *topFlags) login(c *cobra.Command) (name, password string, err error) {
	name, password, inline := strings.Cut(f.user, ":")
	switch {
	case f.user == "" && f.passwordFile == "":
		return "", "", nil
	case name == "":
		return "", "", usagef(c, "--user has no name")
	case inline && f.passwordFile != "":
		return "", "", usagef(c, "there is a password in --user and another in --password-file")
	case inline:
		return name, password, nil
	case f.passwordFile == "":
		return "", "", usagef(c, "--user %s: add its password, as %s:PASSWORD or with --password-file", printable(name), printable(name))
	}
	text, err := os.ReadFile(f.passwordFile)
	if err != nil {
		return "", "", fmt.Errorf("password file: %w", err)
	}
	return name, strings.TrimRight(string(text), "\r\n"), nil
}

// isLoopback reports whether a host is this machine for certain.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// printOnce prints the view once. It is an error if nobody answers.
func (f *topFlags) printOnce(c *cobra.Command, w *topWatch) error {
	v := w.look(c.Context())
	if err := v.fault(); err != nil {
		return err
	}
	if f.output.json() {
		return f.output.print(c, v)
	}
	for _, line := range v.draw(0, 0) {
		fmt.Fprintln(c.OutOrStdout(), line)
	}
	return nil
}

// live shows the view again and again, until ctx is done.
func (w *topWatch) live(ctx context.Context, t terminal, interval time.Duration) error {
	w.keys = maxLiveKeys
	v := w.look(ctx)
	if err := v.fault(); err != nil {
		return err // in the plain: there is nothing to look at
	}
	if _, err := io.WriteString(t.w, ansiOtherScreen+ansiHideCursor); err != nil {
		return fmt.Errorf("terminal: %w", err)
	}
	defer func() { _, _ = io.WriteString(t.w, ansiShowCursor+ansiScreen) }() // a terminal that went away needs neither
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		columns, rows := t.size()
		var b bytes.Buffer
		b.WriteString(ansiHome)
		for i, line := range v.draw(columns, rows) {
			if i > 0 {
				b.WriteString("\r\n")
			}
			b.WriteString(line + ansiClearLine)
		}
		b.WriteString(ansiClearBelow)
		if _, err := t.w.Write(b.Bytes()); err != nil {
			return fmt.Errorf("terminal: %w", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		next := w.look(ctx)
		if ctx.Err() != nil {
			return nil
		}
		next.since(v)
		v = next
	}
}
