package app

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/weir-project/weir/config"
)

// TestOwnCertificateAsAuthority: a gateway that is given the certificate of a traffic
// manager believes it, and nobody else.
func TestOwnCertificateAsAuthority(t *testing.T) {
	f := newFleet(t, 100)
	c := configure(t, config.TrafficManager, fmt.Sprintf("[broker]\nlisten = %q\n", f.nats))
	tm := start(t, Options{Config: c, TrafficManager: f.source()})
	own := filepath.Join(c.Node.Data, ownCertFile)
	g := f.micro(tm.ManagementHTTPS, fmt.Sprintf("[events]\nca_file = %q\n", own))
	f.joined(g, tm.ManagementHTTPS)

	other, _, _ := writeCertificate(t)
	stranger := f.micro(tm.ManagementHTTPS, fmt.Sprintf("[events]\nca_file = %q\n", other))
	for _, line := range []string{"traffic manager does not answer", "deny policies and key templates not available"} {
		eventually(t, line, func() bool { return stranger.log.count(line) == 1 })
	}
	eventually(t, "the log says why", func() bool { return stranger.log.count("certificate signed by unknown authority") >= 2 })
	if got := f.call(stranger); got != 200 {
		t.Errorf("a gateway that believes nobody: got %d", got)
	}
}

// TestClientCertificate: who shows a certificate of the right authority needs no
// password, and any other does.
func TestClientCertificate(t *testing.T) {
	f := newFleet(t, 100)
	certFile, keyFile, _ := writeCertificate(t)
	tm := f.manager(fmt.Sprintf("[management]\nclient_ca_file = %q\n", certFile))
	client := func(withCertificate bool) int {
		c := configure(t, config.Microgateway, fmt.Sprintf("[events]\ncert_file = %q\nkey_file = %q\n", certFile, keyFile))
		g := &gatewayRole{}
		secure, err := g.clientTLS(&c)
		if err != nil {
			t.Fatal(err)
		}
		if !withCertificate {
			secure.GetClientCertificate = nil
		}
		tr := &http.Transport{DialTLSContext: dialTLS(secure)}
		defer tr.CloseIdleConnections()
		w, err := (&http.Client{Transport: tr}).Get("https://" + tm.ManagementHTTPS.String() + "/internal/data/v1/block")
		if err != nil {
			t.Fatal(err)
		}
		w.Body.Close()
		return w.StatusCode
	}
	if got := client(true); got != 200 {
		t.Errorf("with a certificate: got %d", got)
	}
	if got := client(false); got != 401 {
		t.Errorf("without one: got %d", got)
	}
}

// TestManagementBeyondLoopback: what takes credentials is not served in the clear
// where others could listen.
func TestManagementBeyondLoopback(t *testing.T) {
	f := newFleet(t, 100)
	tm := f.manager("[management]\nhost = \"0.0.0.0\"\n[apim.throttling]\npassword = \"s3cret-and-long\"\n")
	origin := fmt.Sprintf("http://127.0.0.1:%d", tm.Management.Port())
	if status, _ := get(t, origin+"/readyz", ""); status != 200 {
		t.Errorf("readiness: got %d", status)
	}
	if status, _ := get(t, origin+"/internal/data/v1/block", ""); status != 404 {
		t.Errorf("data in the clear: got %d", status)
	}
	if !tm.ManagementHTTPS.Addr().IsUnspecified() {
		t.Errorf("HTTPS listens on %s although there is a password", tm.ManagementHTTPS)
	}
}

// TestTrafficManagerReloads shows that an artifact that is wrong changes nothing, and
// that one that is raised frees at once.
func TestTrafficManagerReloads(t *testing.T) {
	f := newFleet(t, 20)
	tm := f.manager("")
	g := f.micro(tm.ManagementHTTPS, "")
	f.joined(g, tm.ManagementHTTPS)
	f.pass(g, 20)
	eventually(t, "it is decided", func() bool { return metric(t, tm, "weir_decisions_in_force") == 1 })

	good := f.definition
	f.definition.Policies.Policies = append(slices.Clip(good.Policies.Policies), few(1))
	tm.hangup <- os.Interrupt
	eventually(t, "an artifact with a policy twice is refused", func() bool {
		return tm.log.count("artifact refused") == 1 && metric(t, tm, `weir_traffic_manager_reloads_total{result="refused"}`) == 1
	})
	if n := metric(t, tm, "weir_decisions_in_force"); n != 1 {
		t.Errorf("%g decisions in force after a refused artifact", n)
	}
	raised, _ := pets(t, backend(t), 1000)
	f.definition = raised
	tm.hangup <- os.Interrupt
	eventually(t, "a raised limit frees its keys", func() bool { return metric(t, tm, "weir_decisions_in_force") == 0 })
}

// TestTopicOverTLS: the broker of a traffic manager encrypts if it has a certificate.
func TestTopicOverTLS(t *testing.T) {
	f := newFleet(t, 100)
	certFile, keyFile, _ := writeCertificate(t)
	tm := f.manager(fmt.Sprintf("cert_file = %q\nkey_file = %q\n", certFile, keyFile))
	g := f.micro(tm.ManagementHTTPS, fmt.Sprintf("[broker]\nca_file = %q\n", certFile), "tls")
	f.joined(g, tm.ManagementHTTPS)
	plain := f.micro(tm.ManagementHTTPS, "")
	// Who says nothing of TLS speaks it all the same, and believes only whom the system
	// does.
	eventually(t, "a stranger is not believed", func() bool {
		return plain.log.count("broker refuses") == 1 && plain.log.count("certificate signed by unknown authority") > 0
	})
	if got := f.call(plain); got != 200 {
		t.Errorf("without the topic: got %d", got)
	}
}
