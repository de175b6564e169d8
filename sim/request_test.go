package sim

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/weir-project/weir/gateway"
)

// fields are the header of a request.
type fields [][2]string

func (f fields) Value(name string) (string, bool) {
	for _, p := range f {
		if strings.EqualFold(p[0], name) {
			return p[1], true
		}
	}
	return "", false
}

func (f fields) Each(name string, each func(string) bool) {
	for _, p := range f {
		if strings.EqualFold(p[0], name) && !each(p[1]) {
			return
		}
	}
}

// fill makes x the request of h, as a front door would.
func (w *world) fill(x *gateway.Exchange, h *hit) error {
	x.Reset()
	path, query, _ := strings.Cut(h.target, "?")
	x.Time, x.Method, x.Host, x.Path, x.RawQuery = w.now, h.method, "localhost:9090", path, query
	x.Peer, x.ContentLength = netip.AddrPortFrom(h.peer, 40000), h.body
	header := append(make(fields, 0, len(h.headers)+1), h.headers...)
	name, value, err := w.credential(&h.caller)
	if err != nil {
		return err
	}
	if name != "" {
		header = append(header, [2]string{name, value})
	}
	x.Headers = header
	return nil
}

// credential returns the header field by which c calls.
func (w *world) credential(c *caller) (name, value string, err error) {
	if c.application == "" {
		return "", "", nil
	}
	client := c.application
	if c.sandbox {
		client += "/sandbox"
	}
	key, ok := w.keys[client]
	switch {
	case !ok:
		return "", "", fmt.Errorf("there is no application %s", c.application)
	case c.user == "":
		return "ApiKey", key, nil
	}
	return "Authorization", "Bearer " + w.issuer.token(client, c), nil
}

// An issuer signs tokens.
type issuer struct {
	name   string
	file   string // of its key set
	key    ed25519.PrivateKey
	tokens map[string]string // signed already, by what they say
}

// newIssuer makes an issuer and writes its key set to file.
func newIssuer(t *testing.T, file string) *issuer {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(map[string]any{"keys": []map[string]string{{
		"kty": "OKP", "crv": "Ed25519", "kid": "sim", "alg": "EdDSA", "use": "sig",
		"x": base64.RawURLEncoding.EncodeToString(public),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, set, 0o600); err != nil {
		t.Fatal(err)
	}
	return &issuer{name: "https://issuer.test", file: file, key: private, tokens: map[string]string{}}
}

// token returns the signed token by which c's user calls through client.
func (i *issuer) token(client string, c *caller) string {
	claims := map[string]any{
		"iss": i.name, "sub": c.user, "azp": client,
		"jti": fmt.Sprintf("%s:%s#%d", client, c.user, c.token),
		"iat": start.Unix(), "exp": start.AddDate(100, 0, 0).Unix(),
	}
	if c.expires != 0 {
		claims["exp"] = start.Add(c.expires).Unix()
	}
	for _, p := range c.claims {
		claims[p[0]] = p[1]
	}
	body, _ := json.Marshal(claims) // text and numbers only
	if known, ok := i.tokens[string(body)]; ok {
		return known
	}
	signed := encode([]byte(`{"alg":"EdDSA","kid":"sim","typ":"JWT"}`)) + "." + encode(body)
	token := signed + "." + encode(ed25519.Sign(i.key, []byte(signed)))
	i.tokens[string(body)] = token
	return token
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
