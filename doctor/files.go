package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"time"

	"github.com/weir-project/weir/config"
)

// fileChecks look at the configuration and the files that it names.
func fileChecks(o *Options) []*check {
	c := &o.Config
	all := []*check{{name: "configuration", run: func(_ context.Context, k *check) {
		for _, n := range c.Notes {
			k.add(Warning, "remove the key, or correct it", "%s", n.Error())
		}
		if o.File == "" {
			k.add(Info, "", "there is none: all is as by default, for the role %s", c.Role)
		} else {
			k.add(OK, "", "%s is valid, for the role %s", o.File, c.Role)
		}
		for _, text := range c.Sharing() {
			k.add(Info, "", "%s", text)
		}
	}}}
	for _, a := range o.Artifacts {
		all = append(all, &check{name: "artifact", run: func(_ context.Context, k *check) { a.look(k) }})
	}
	for _, f := range []struct{ key, cert, private string }{
		{"listenerConfig.certFile", c.Listener.CertFile, c.Listener.KeyFile},
		{"management.cert_file", c.Management.CertFile, c.Management.KeyFile},
		{"broker.cert_file", c.Broker.CertFile, c.Broker.KeyFile},
		{"events.cert_file", c.Events.CertFile, c.Events.KeyFile},
		{"backend.cert_file", c.Backend.CertFile, c.Backend.KeyFile},
	} {
		if f.cert != "" {
			all = append(all, &check{name: "certificate", run: func(_ context.Context, k *check) { k.pair(f.key, f.cert, f.private) }})
		}
	}
	return all
}

// look reads an artifact.
func (a *Artifact) look(k *check) {
	if a.File == "" {
		k.add(Fault, "'weir build PROJECT' makes PROJECT/target/PROJECT.weir: name that", "%s is missing", a.Key)
		return
	}
	if err := a.Read(); err != nil {
		k.add(Fault, "make it with 'weir build', or correct "+a.Key, "%v", err)
		return
	}
	k.add(OK, "", "%s can be applied (%s)", a.File, a.Key)
}

// pair looks at a certificate and its key.
func (k *check) pair(key, cert, private string) {
	pair, err := tls.LoadX509KeyPair(cert, private)
	if err != nil {
		k.add(Fault, "correct "+key+", or the file", "%s: %s with key %s: %v", key, cert, private, err)
		return
	}
	k.certificate(cert, pair.Leaf)
}

// soon is for how long a certificate should hold at least.
const soon = 14 * 24 * time.Hour

// certificate looks at for how long a certificate holds.
func (k *check) certificate(whose string, c *x509.Certificate) {
	switch left := time.Until(c.NotAfter); {
	case left <= 0:
		k.add(Fault, "replace it: it is read again when the file changes", "%s: the certificate ended on %s", whose, c.NotAfter.Format(time.DateOnly))
	case left < soon:
		k.add(Warning, "replace it before: it is read again when the file changes", "%s: the certificate ends on %s", whose, c.NotAfter.Format(time.DateOnly))
	case time.Until(c.NotBefore) > 0:
		k.add(Fault, "set the clock, or wait", "%s: the certificate begins only on %s", whose, c.NotBefore.Format(time.DateTime))
	default:
		k.add(OK, "", "%s: the certificate holds until %s", whose, c.NotAfter.Format(time.DateOnly))
	}
}

// isSame reports whether two stores are one, as this node reaches them.
func isSame(a, b *config.Store) bool {
	return a.String() == b.String() && a.Database == b.Database && a.Login == b.Login && a.TLS == b.TLS && a.CAFile == b.CAFile
}
