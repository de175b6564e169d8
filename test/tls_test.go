package test

import (
	"crypto/tls"
	"net/http"
	"testing"
	"time"
)

// TestCertificateReload replaces the certificate of a running gateway: new
// connections have the new one, those that are open go on, and a broken one
// changes nothing.
func TestCertificateReload(t *testing.T) {
	t.Parallel()
	b := newBackend(t, "one")
	p := newProject(t, b.URL, files{"policies.yaml": generous, "api_definitions/pet.yaml": openAPI("x-wso2-production-endpoints: {urls: [BACKEND]}")})
	dir := t.TempDir()
	first := newCertificate(t, dir, 1)
	g := p.serve(first.conf())
	open := g.h2(t, first.roots)
	open.get(t, "/pet/a").want(t, 200, "")

	second := newCertificate(t, dir, 2)
	until(t, "the second certificate", func() bool { return g.serial(t) == 2 })
	open.get(t, "/pet/a").want(t, 200, "")
	g.h2(t, second.roots).get(t, "/pet/a").want(t, 200, "")

	replace(t, second.certFile, []byte("no certificate"))
	mark := len(g.stderr.String())
	until(t, "a line about the certificate", func() bool { return len(g.stderr.lines(mark)) > 0 })
	if got := g.serial(t); got != 2 {
		t.Errorf("the certificate has serial number %d", got)
	}
}

// serial returns the serial number of the certificate that a new connection gets.
func (g *gatewayProcess) serial(t *testing.T) int64 {
	t.Helper()
	conn, err := tls.Dial("tcp", g.secure, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// TestTLSVersions is refused below TLS 1.2, and speaks HTTP/1.1 and HTTP/2 on the
// same port above.
func TestTLSVersions(t *testing.T) {
	t.Parallel()
	b := newBackend(t, "one")
	p := newProject(t, b.URL, files{"api_definitions/pet.yaml": openAPI("x-wso2-production-endpoints: {urls: [BACKEND]}")})
	cert := newCertificate(t, t.TempDir(), 1)
	g := p.serve(cert.conf())
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		conn, err := tls.Dial("tcp", g.secure, &tls.Config{RootCAs: cert.roots, MinVersion: version, MaxVersion: version})
		if err == nil {
			conn.Close()
			t.Errorf("version %x was accepted", version)
		}
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, proto := range []string{"http/1.1", "h2"} {
			only := new(http.Protocols)
			only.SetHTTP1(proto == "http/1.1")
			only.SetHTTP2(proto == "h2")
			c := newClient(t, "https://"+g.secure, &http.Transport{
				Protocols:       only,
				TLSClientConfig: &tls.Config{RootCAs: cert.roots, MinVersion: version, MaxVersion: version},
			})
			r := c.get(t, "/pet/a").want(t, 200, "")
			if want := map[string]int{"http/1.1": 1, "h2": 2}[proto]; r.ProtoMajor != want || r.TLS.Version != version {
				t.Errorf("%s over %x: got HTTP/%d over %x", proto, version, r.ProtoMajor, r.TLS.Version)
			}
		}
	}
	// A client that speaks no TLS gets no answer that it could take for one.
	if got, closed := raw(t, g.secure, "GET /pet/a HTTP/1.1\r\nHost: a\r\n\r\n", 2*time.Second); !closed || len(statuses(got)) > 0 && statuses(got)[0] == 200 {
		t.Errorf("got %q, closed %v", got, closed)
	}
}
