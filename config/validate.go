package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// A finding is a fault of a value, before it is known where the value was set.
type finding struct {
	section string
	index   int
	name    string
	message string
}

// Validate reports all that is wrong with c, as [Faults], or nil. It looks at no
// file: whether a certificate can be read shows when it is.
func (c *Config) Validate() error {
	var faults Faults
	for _, f := range c.check() {
		faults = append(faults, &Fault{Key: f.section + "." + f.name, Message: f.message})
	}
	if len(faults) == 0 {
		return nil
	}
	return faults
}

// check returns all that is wrong with c, key by key and then what is wrong
// between keys.
func (c *Config) check() []finding {
	var found []finding
	add := func(section string, index int, name, format string, args ...any) {
		found = append(found, finding{section, index, name, fmt.Sprintf(format, args...)})
	}
	for _, s := range c.sections() {
		for i, v := range s.structs() {
			for _, k := range s.keysOf(v) {
				if message := k.check(); message != "" {
					add(s.name, i, k.name, "%s", message)
				}
			}
		}
	}
	c.checkListeners(add)
	c.checkAddresses(add)
	c.checkPairs(add)
	c.checkFleet(add)
	c.checkShared(add)
	for i := range c.JWT {
		c.JWT[i].check(func(name, format string, args ...any) { add("jwtTokenConfig", i, name, format, args...) })
	}
	return found
}

// check returns what is wrong with the value of one key, as its tags have it.
func (k key) check() string {
	allowed := k.field.Tag.Get("oneof")
	values := []reflect.Value{k.value}
	if k.value.Kind() == reflect.Slice {
		values = nil
		for i := range k.value.Len() {
			values = append(values, k.value.Index(i))
		}
	}
	for _, v := range values {
		if allowed != "" && !slices.Contains(strings.Split(allowed, ","), v.String()) {
			return fmt.Sprintf("must be one of %s, not %q", strings.ReplaceAll(strings.TrimPrefix(allowed, ","), ",", ", "), v)
		}
		if v.Kind() == reflect.String && strings.ContainsFunc(v.String(), unicode.IsControl) {
			return "has control characters"
		}
	}
	return k.checkRange()
}

func (k key) checkRange() string {
	least, most := k.field.Tag.Get("min"), k.field.Tag.Get("max")
	switch {
	case least == "", k.value.Int() >= k.number(least) && (most == "" || k.value.Int() <= k.number(most)):
		return ""
	case most == "":
		return fmt.Sprintf("must be at least %s, not %s", least, strings.Trim(valueText(k.value), `"`))
	}
	return fmt.Sprintf("must be from %s to %s, not %s", least, most, strings.Trim(valueText(k.value), `"`))
}

// number returns what a tag says in the type of k.
func (k key) number(tag string) int64 {
	v := reflect.New(k.value.Type()).Elem()
	if err := setText(v, tag); err != nil {
		panic(fmt.Sprintf("config: tag %q of %s: %v", tag, k, err)) // a fault of this package
	}
	return v.Int()
}

type adder func(section string, index int, name, format string, args ...any)

func (c *Config) checkListeners(add adder) {
	l, m := &c.Listener, &c.Management
	for _, h := range []struct {
		section, name, host string
		empty               bool
	}{
		{"listenerConfig", "host", l.Host, false},
		{"management", "host", m.Host, false},
		{"management", "https_host", m.HTTPSHost, true},
	} {
		if h.host == "" && h.empty {
			continue
		}
		if h.host == "" || strings.ContainsAny(h.host, " /[]") || (strings.Contains(h.host, ":") && !isAddress(h.host)) {
			add(h.section, 0, h.name, "must be an address or a name without a port, not %q", h.host)
		}
	}
	if c.Role.HasGateway() && l.HTTPPort == Off && !l.TLS() {
		add("listenerConfig", 0, "httpPort", "opens no listener, and neither does httpsPort: clients could not reach the gateway")
	}
	ports := []struct {
		section, name string
		port          int
		open          bool
	}{
		{"listenerConfig", "httpPort", l.HTTPPort, c.Role.HasGateway()},
		{"listenerConfig", "httpsPort", l.HTTPSPort, c.Role.HasGateway() && l.TLS()},
		{"management", "port", m.Port, true},
		{"management", "https_port", m.HTTPSPort, true},
	}
	for i, p := range ports {
		for _, q := range ports[:i] {
			if p.open && q.open && p.port > 0 && p.port == q.port {
				add(p.section, 0, p.name, "is %d, as is %s.%s: every listener needs a port of its own", p.port, q.section, q.name)
			}
		}
	}
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

func (c *Config) checkAddresses(add adder) {
	for _, p := range c.ClientAddress.TrustedProxies {
		if p.Bits() == 0 {
			add("client_address", 0, "trusted_proxies", "%s is every address: clients could name themselves", p)
		}
	}
	for _, k := range []struct{ name, value string }{{"header", c.APIKey.Header}, {"query", c.APIKey.Query}} {
		if strings.ContainsFunc(k.value, isNoToken) {
			add("apikey", 0, k.name, "must be letters, digits and hyphens, not %q", k.value)
		}
	}
}

// isNoToken reports whether r cannot stand in the names of headers and
// parameters that are allowed here.
func isNoToken(r rune) bool {
	return r > unicode.MaxASCII || (!unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '-' && r != '_')
}

// checkPairs reports certificates without a key, and keys without a certificate.
func (c *Config) checkPairs(add adder) {
	for _, p := range []struct{ section, certName, keyName, cert, key string }{
		{"listenerConfig", "certFile", "keyFile", c.Listener.CertFile, c.Listener.KeyFile},
		{"backend", "cert_file", "key_file", c.Backend.CertFile, c.Backend.KeyFile},
		{"management", "cert_file", "key_file", c.Management.CertFile, c.Management.KeyFile},
		{"events", "cert_file", "key_file", c.Events.CertFile, c.Events.KeyFile},
		{"broker", "cert_file", "key_file", c.Broker.CertFile, c.Broker.KeyFile},
		{storeSection, "cert_file", "key_file", c.KeyValueStore.CertFile, c.KeyValueStore.KeyFile},
		{redisSection, "cert_file", "key_file", c.Redis.CertFile, c.Redis.KeyFile},
	} {
		switch {
		case p.cert != "" && p.key == "":
			add(p.section, 0, p.keyName, "is missing: a certificate needs its key")
		case p.cert == "" && p.key != "":
			add(p.section, 0, p.certName, "is missing: a key needs its certificate")
		}
	}
}

// checkFleet reports what is wrong with how nodes work together.
func (c *Config) checkFleet(add adder) {
	if n := len(c.Node.Secret); n > 0 && n < 16 {
		add("node", 0, "secret", "has %d characters; 16 or more are hard to guess", n)
	}
	if c.Role.HasGateway() {
		c.uplink(add)
	}
	if !c.Role.HasTrafficManager() {
		return
	}
	if host := c.Management.HTTPSHost; host != "" && c.Management.HTTPSPort != Off && !isLoopback(host) && isWellKnown(string(c.APIM.Password)) {
		add("management", 0, "https_host", "is not on loopback, and apim.throttling.password is one that anybody knows, or empty: set a password")
	}
	if c.APIM.User == "" || strings.Contains(c.APIM.User, ":") {
		add("apim.throttling", 0, "username", "must not be empty or have a colon in it")
	}
	if c.APIM.Password == "" {
		add("apim.throttling", 0, "password", "must not be empty: nobody could talk to the traffic manager")
	}
	c.topic(add)
}

// check reports what is wrong with the issuer as a whole.
func (j *JWT) check(add func(name, format string, args ...any)) {
	if j.Issuer == "" {
		add("issuer", "is missing: it is what tokens have in iss")
	}
	switch {
	case j.JWKSURL == "" && j.JWKSFile == "":
		add("jwksURL", "is missing, and so is jwks_file: say where the issuer's public keys are")
	case j.JWKSURL != "" && j.JWKSFile != "":
		add("jwksURL", "and jwks_file are both there; the keys can be in one place only")
	case j.JWKSURL != "":
		j.checkURL(add)
	}
	if j.UserClaim == "" {
		add("user_claim", "must not be empty")
	}
}

func (j *JWT) checkURL(add func(name, format string, args ...any)) {
	u, err := url.Parse(j.JWKSURL)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		add("jwksURL", "must be an https URL, not %q", j.JWKSURL)
	case u.User != nil:
		add("jwksURL", "must not have a user name or a password in it")
	case u.Scheme == "http" && !j.AllowHTTP && !isLoopback(u.Hostname()):
		add("jwksURL", "must be https, not %q: whoever is on the way could make tokens; allow_http = true accepts that", j.JWKSURL)
	}
}
