package test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-project/weir/test/realserver"
)

// tlsManager starts a traffic manager with further lines of the section management
// and what follows it, and returns the certificate that it made for itself.
func (f *fleet) tlsManager(conf string) (m *managerProcess, certificate string) {
	f.t.Helper()
	f.finish()
	events, management := freePort(f.t), freePort(f.t)
	m = &managerProcess{fleet: f, events: local(events), management: local(management), topic: local(freePort(f.t))}
	file := f.configure("deployment.toml", fmt.Sprintf(
		"[traffic_manager]\nartifact = %q\n[broker]\nlisten = %q\n[management]\nport = %d\nhttps_port = %d\n%s",
		f.artifact(), m.topic, management, events, conf))
	m.args = []string{"serve", "--role", "traffic-manager", "--config", file}
	m.start()
	return m, filepath.Join(filepath.Dir(file), "data", "server.pem")
}

// TestFleetVerified has gateways verify the certificate that their traffic manager
// made for itself, also after it was killed and has come back; with another one they
// tell it nothing, and go on alone.
func TestFleetVerified(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 10)
	alone := f.with("dock")
	tm, own := f.tlsManager("")
	verified := func(file string) string {
		return tm.throttlingConfig("") + fmt.Sprintf("[events]\nca_file = %q\n", file)
	}
	gateways := []*gatewayProcess{f.micro(verified(own)), f.micro(verified(own))}
	for _, g := range gateways {
		g.awaitJoined(t)
	}
	f.passSlowly(t, 0, 4, []*managerProcess{tm}, gateways...)
	tm.kill()
	tm.start()
	for _, g := range gateways {
		g.awaitJoined(t)
	}
	tm.awaitUsed(t, f, 4)
	f.passSlowly(t, 4, 6, []*managerProcess{tm}, gateways...)
	awaitHeard(t, 1, gateways...)
	f.refuse(t, gateways...)

	other := filepath.Join(t.TempDir(), "other.pem")
	replace(t, other, realserver.NewCertificate(t).Cert)
	g := f.micro(verified(other))
	const unknown = "certificate signed by unknown authority"
	until(t, "a line about the certificate", func() bool { return strings.Count(g.stderr.String(), unknown) >= 2 })
	alone.passSoon(t, 10, g)
	alone.refuse(t, g)
	if n := tm.used(t, alone); n != 0 {
		t.Errorf("a traffic manager that was not verified was told of %d calls", n)
	}
}

// TestFleetCertificates has gateways show certificates instead of a password.
func TestFleetCertificates(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 10)
	dir, c := t.TempDir(), realserver.NewCertificate(t)
	cert, key := filepath.Join(dir, "gateway.pem"), filepath.Join(dir, "gateway.key")
	replace(t, cert, c.Cert)
	replace(t, key, c.Key)
	const node = "[node]\nsecret = \"what all nodes have in common\"\n"
	tm, own := f.tlsManager(fmt.Sprintf("client_ca_file = %q\n%s", cert, node))
	conf := fmt.Sprintf("%s[events]\nca_file = %q\ncert_file = %q\nkey_file = %q\n%s",
		strings.Replace(tm.throttlingConfig("nats://admin:admin@"+tm.topic), "admin:admin\"\n", "gateway:not-its-password\"\n", 1), own, cert, key, node)
	if !strings.Contains(conf, "not-its-password") {
		t.Fatal(conf)
	}
	f.holds(t, []*managerProcess{tm}, []*gatewayProcess{f.micro(conf), f.micro(conf)})
}
