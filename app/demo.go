package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/examples/petstore"
	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/gateway/project"
)

// A Demo is what a demo runs, for those who want to try it.
type Demo struct {
	Addresses
	Backend string // URL of the sample's backend
	Context string // path under which the gateway serves the API
	Key     string // API key of the sample's application
	// Taken is the port that the gateway should have had and somebody else has;
	// zero if nobody does.
	Taken int
}

// DemoOptions are what a demo is run with. All fields are required.
type DemoOptions struct {
	// Port and ManagementPort are the ports to take if they are free; if not,
	// others are.
	Port, ManagementPort int
	Version              string
	Log                  io.Writer
	// Started is called once it takes requests.
	Started func(Demo)
}

// RunDemo runs the sample project on loopback, with a backend, an application
// and a fresh key, until ctx is done. It leaves nothing behind.
func RunDemo(ctx context.Context, o DemoOptions) (err error) {
	dir, err := os.MkdirTemp("", "weir-demo-")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	backend, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("demo: backend: %w", err)
	}
	demo := Demo{Backend: "http://" + backend.Addr().String(), Context: petstore.Context}
	sample := filepath.Join(dir, "petstore")
	if demo.Key, err = makeSample(sample, demo.Backend); err != nil {
		_ = backend.Close() // nobody has used it
		return fmt.Errorf("demo: %w", err)
	}
	c := config.Default()
	c.Log.Level = "warn"
	c.Listener.Host, c.Management.Host = "127.0.0.1", "127.0.0.1"
	c.Listener.HTTPPort = freePort(o.Port, 0)
	c.Management.Port = freePort(o.ManagementPort, c.Listener.HTTPPort)
	if c.Listener.HTTPPort != o.Port {
		demo.Taken = o.Port
	}
	a, err := New(Options{
		Config: c, Log: o.Log, Version: o.Version,
		Gateway: Source{Read: func() (gateway.Definition, error) {
			return project.Open(filepath.Join(sample, "target", "petstore.weir"))
		}},
		Started: func(at Addresses) {
			demo.Addresses = at
			o.Started(demo)
		},
	})
	if err != nil {
		_ = backend.Close() // nobody has used it
		return fmt.Errorf("demo: %w", err)
	}
	return serve(ctx, []service{
		demoBackend(backend),
		{"gateway", a.Run, c.Shutdown.Grace + 2*stopGrace + httpGrace},
	})
}

// RunDemoBackend serves the backend of the sample project alone at an address of
// this machine, host:port, until ctx is done. It calls started with its URL once
// it takes requests.
func RunDemoBackend(ctx context.Context, address string, started func(origin string)) error {
	backend, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("demo: backend: %w", err)
	}
	started("http://" + backend.Addr().String())
	return serve(ctx, []service{demoBackend(backend)})
}

// demoBackend returns the service of the sample's backend.
func demoBackend(l net.Listener) service {
	server := &http.Server{Handler: petstore.Backend(), ReadHeaderTimeout: 5 * time.Second}
	return service{"backend", func(ctx context.Context) error { return serveHTTP(ctx, server, l) }, httpGrace + stopGrace}
}

// makeSample writes the sample project into dir, gives its application a key and
// builds it.
func makeSample(dir, backend string) (key string, err error) {
	if err := copySample(dir, backend); err != nil {
		return "", err
	}
	key, err = project.CreateKey(dir, project.KeyOptions{Application: petstore.Application, Type: weir.Production})
	if err != nil {
		return "", err
	}
	_, err = project.Build(dir)
	return key, err
}

// copySample writes the files of the sample into dir, with the backend's URL in
// place of the one in the files.
func copySample(dir, backend string) error {
	return fs.WalkDir(petstore.Files, ".", func(name string, d fs.DirEntry, err error) error {
		to := filepath.Join(dir, filepath.FromSlash(name))
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return os.MkdirAll(to, 0o700)
		}
		text, err := fs.ReadFile(petstore.Files, name)
		if err != nil {
			return err
		}
		return os.WriteFile(to, []byte(strings.ReplaceAll(string(text), petstore.Origin, backend)), 0o600)
	})
}

// freePort returns the first port from that on which is free and not another, of
// a few; zero, which lets the system choose, if none is.
func freePort(port, another int) int {
	for p := port; p < min(port+10, 1<<16); p++ {
		if p == another {
			continue
		}
		l, err := net.Listen("tcp", netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(p)).String())
		if err == nil {
			_ = l.Close() // it was only asked for
			return p
		}
	}
	return 0
}
