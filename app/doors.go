package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/gateway/http1"
	"github.com/weir-project/weir/gateway/http2"
	"github.com/weir-project/weir/gateway/listen"
)

// The doors are where clients reach the gateway. Each has servers of its own, so
// that it can let its calls finish without asking the other.
type doors struct {
	http, https  *listen.Listener // nil: not open
	certificates *listen.Certificates
	log          *slog.Logger
}

// openDoors opens the ports that the configuration names.
func (a *App) openDoors(d *doors) error {
	c := &a.options.Config
	d.log = a.log
	var err error
	if c.Listener.HTTPPort != config.Off {
		if d.http, err = a.openDoor(c.Listener.HTTPPort, nil); err != nil {
			return portFault("listenerConfig.httpPort", c.Listener.HTTPPort, err)
		}
	}
	if c.Listener.TLS() {
		d.certificates, err = listen.LoadCertificates(listen.Pair{Certificate: c.Listener.CertFile, Key: c.Listener.KeyFile})
		if err != nil {
			d.close()
			return fmt.Errorf("listenerConfig.certFile: %w", err)
		}
		if d.https, err = a.openDoor(c.Listener.HTTPSPort, d.certificates); err != nil {
			d.close()
			return portFault("listenerConfig.httpsPort", c.Listener.HTTPSPort, err)
		}
	}
	if d.http == nil && d.https == nil {
		return errors.New("no port to listen on: listenerConfig.httpPort is -1, and there is no HTTPS without a certificate")
	}
	return nil
}

// openDoor opens one port, with TLS if there are certificates.
func (a *App) openDoor(port int, certificates *listen.Certificates) (*listen.Listener, error) {
	c := &a.options.Config
	one, err := http1.New(http1.Options{
		Pipeline:          a.gateway.core.gateway,
		Log:               a.log,
		ReadHeaderTimeout: c.Timeouts.Header,
		IdleTimeout:       c.Timeouts.Idle,
		WriteTimeout:      c.Timeouts.Write,
		StreamIdleTimeout: c.Timeouts.Stream,
		BodyGrace:         c.Timeouts.BodyIdle,
		MaxHeaderBytes:    int(c.Limits.HeaderBytes),
		MaxFields:         c.Limits.HeaderFields,
		MaxBody:           int64(c.Limits.BodyBytes),
	})
	if err != nil {
		return nil, err
	}
	o := listen.Options{
		Address:          net.JoinHostPort(c.Listener.Host, strconv.Itoa(port)),
		TLS:              certificates,
		HTTP1:            one,
		MaxConns:         c.Limits.Connections,
		MaxConnsPerIP:    c.Limits.ConnectionsPerIP,
		Exempt:           c.ClientAddress.TrustedProxies,
		HandshakeTimeout: c.Timeouts.Header,
		Grace:            max(c.Shutdown.Grace, time.Millisecond), // zero would be the default
		Log:              a.log,
	}
	if o.MaxConnsPerIP == 0 {
		o.MaxConnsPerIP = -1 // no bound
	}
	if c.Listener.HTTP2 {
		o.HTTP2, err = http2.New(http2.Options{
			Pipeline:          a.gateway.core.gateway,
			Targets:           a.gateway.core.targets,
			MaxStreams:        c.Limits.Streams,
			MaxHeaderBytes:    int(c.Limits.HeaderBytes),
			MaxFields:         c.Limits.HeaderFields,
			MaxBody:           int64(c.Limits.BodyBytes),
			ReadHeaderTimeout: c.Timeouts.Header,
			IdleTimeout:       c.Timeouts.Idle,
			StallTimeout:      c.Timeouts.BodyIdle,
			WriteTimeout:      c.Timeouts.Write,
			StreamIdleTimeout: c.Timeouts.Stream,
			Logger:            a.log,
		})
		if err != nil {
			return nil, err
		}
	}
	return listen.New(o)
}

// all returns the doors that are open.
func (d *doors) all() []*listen.Listener {
	var open []*listen.Listener
	for _, l := range []*listen.Listener{d.http, d.https} {
		if l != nil {
			open = append(open, l)
		}
	}
	return open
}

// close gives the ports up that run has not yet been called for.
func (d *doors) close() {
	for _, l := range d.all() {
		_ = l.Close() // nobody has used it
	}
}

// run serves on all doors until ctx is done, and then closes them together. If
// one fails, all end.
func (d *doors) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	errs := make(chan error, 3)
	start := func(run func(context.Context) error) {
		running.Go(func() {
			if err := run(ctx); err != nil {
				errs <- err
				cancel()
			}
		})
	}
	for _, l := range d.all() {
		start(l.Run)
	}
	if d.certificates != nil {
		start(func(ctx context.Context) error { return d.certificates.Run(ctx, d.log) })
	}
	running.Wait()
	close(errs)
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return errors.Join(all...)
}

// portFault names the key of the configuration that chose a port which could not
// be opened.
func portFault(key string, port int, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s: port %d is taken by another program: %w", key, port, syscall.EADDRINUSE)
	}
	return fmt.Errorf("%s: %w", key, err)
}

// addresses returns where the process listens.
func (d *doors) addresses(m *management) Addresses {
	var at Addresses
	if d.http != nil {
		at.HTTP = addrPort(d.http.Addr())
	}
	if d.https != nil {
		at.HTTPS = addrPort(d.https.Addr())
	}
	if m.http != nil {
		at.Management = addrPort(m.http.Addr())
	}
	if m.https != nil {
		at.ManagementHTTPS = addrPort(m.https.Addr())
	}
	return at
}

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort()
	}
	return netip.AddrPort{}
}
