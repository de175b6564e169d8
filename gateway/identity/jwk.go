package identity

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync/atomic"
)

const (
	maxKeys    = 100  // in one set
	minRSABits = 2048 // smaller ones can be factored by those who try
	maxRSABits = 8192 // larger ones cost a millisecond a token
)

// A publicKey is one key of an issuer, bound to its algorithms.
type publicKey struct {
	id         string // kid; may be empty
	algorithms []string
	key        crypto.PublicKey
	thumb      [sha256.Size]byte // of all of the above
	// removed is set once the key is no longer in the issuer's set: tokens that
	// were verified with it are not believed any more.
	removed atomic.Bool
}

// A jwk is a JSON Web Key as it stands in a set.
type jwk struct {
	Kty    string   `json:"kty"`
	Use    string   `json:"use"`
	KeyOps []string `json:"key_ops"`
	Alg    string   `json:"alg"`
	Kid    string   `json:"kid"`
	Crv    string   `json:"crv"`
	N      string   `json:"n"`
	E      string   `json:"e"`
	X      string   `json:"x"`
	Y      string   `json:"y"`
	D      string   `json:"d"`
}

// parseKeys returns the keys in data, a JSON Web Key Set or PEM, that can verify
// a signature with an algorithm that the issuer accepts. Keys for other uses and
// of unknown kinds are passed over; an error means that there is none left.
func parseKeys(data []byte, issuer *Issuer) ([]*publicKey, error) {
	var (
		keys []*publicKey
		err  error
	)
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("-----BEGIN ")) {
		keys, err = parsePEM(data, issuer)
	} else {
		keys, err = parseJWKS(data, issuer)
	}
	if err != nil {
		return nil, err
	}
	if len(keys) > maxKeys {
		return nil, fmt.Errorf("key set has more than %d keys", maxKeys)
	}
	return keys, nil
}

func parseJWKS(data []byte, issuer *Issuer) ([]*publicKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("parse key set: %w", err)
	}
	var (
		keys []*publicKey
		why  = errors.New("it is empty")
	)
	for i, raw := range set.Keys {
		if i >= maxKeys {
			return nil, fmt.Errorf("key set has more than %d keys", maxKeys)
		}
		var k jwk
		err := json.Unmarshal(raw, &k)
		if err == nil {
			var key *publicKey
			if key, err = k.publicKey(issuer); err == nil {
				keys = append(keys, key)
				continue
			}
		}
		why = fmt.Errorf("key %d: %w", i+1, err)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("key set has no usable key: %w", why)
	}
	return keys, nil
}

// publicKey checks k and binds it to its algorithms.
func (k *jwk) publicKey(issuer *Issuer) (*publicKey, error) {
	switch {
	case k.Use != "" && k.Use != "sig":
		return nil, errors.New("is not for signatures")
	case len(k.KeyOps) > 0 && !slices.Contains(k.KeyOps, "verify"):
		return nil, errors.New("is not for verifying")
	case k.D != "":
		return nil, errors.New("is a private key")
	}
	var (
		key crypto.PublicKey
		err error
	)
	switch k.Kty {
	case "RSA":
		key, err = k.rsa()
	case "EC":
		key, err = k.ecdsa()
	case "OKP":
		key, err = k.ed25519()
	default:
		return nil, fmt.Errorf("kind %q is not supported", k.Kty)
	}
	if err != nil {
		return nil, err
	}
	return bindKey(k.Kid, k.Alg, key, issuer)
}

// bindKey makes a publicKey for the algorithm that is named or, if none is,
// those that follow from the key and the issuer.
func bindKey(id, alg string, key crypto.PublicKey, issuer *Issuer) (*publicKey, error) {
	fit := keyAlgorithms(key)
	switch _, isRSA := key.(*rsa.PublicKey); {
	case alg != "":
		if !slices.Contains(fit, alg) {
			return nil, fmt.Errorf("algorithm %q does not fit the key", alg)
		}
		fit = []string{alg}
	case isRSA && len(issuer.Algorithms) == 0:
		fit = []string{"RS256"}
	}
	fit = issuer.accepts(fit...)
	if len(fit) == 0 {
		return nil, errors.New("is for no algorithm that is accepted")
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, err
	}
	thumb := sha256.Sum256(fmt.Appendf(nil, "%q %q %x", id, fit, der))
	return &publicKey{id: id, algorithms: fit, key: key, thumb: thumb}, nil
}

// keyAlgorithms returns the algorithms that a key can be used with.
func keyAlgorithms(key crypto.PublicKey) []string {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return algorithms[:6]
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return []string{"ES256"}
		case elliptic.P384():
			return []string{"ES384"}
		case elliptic.P521():
			return []string{"ES512"}
		}
	case ed25519.PublicKey:
		return []string{"EdDSA"}
	}
	return nil
}

func (k *jwk) rsa() (*rsa.PublicKey, error) {
	n, err := decodePart("n", k.N)
	if err != nil {
		return nil, err
	}
	e, err := decodePart("e", k.E)
	if err != nil {
		return nil, err
	}
	if len(e) > 4 {
		return nil, errors.New("exponent is too large")
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	return key, checkRSA(key)
}

func checkRSA(key *rsa.PublicKey) error {
	if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
		return fmt.Errorf("RSA key has %d bits, not %d to %d", bits, minRSABits, maxRSABits)
	}
	if key.E < 3 || key.E&1 == 0 || key.E > 1<<31-1 || key.N.Bit(0) == 0 {
		return errors.New("RSA key is not valid")
	}
	return nil
}

func (k *jwk) ecdsa() (*ecdsa.PublicKey, error) {
	var curve elliptic.Curve
	switch k.Crv {
	case "P-256":
		curve = elliptic.P256()
	case "P-384":
		curve = elliptic.P384()
	case "P-521":
		curve = elliptic.P521()
	default:
		return nil, fmt.Errorf("curve %q is not supported", k.Crv)
	}
	size := (curve.Params().BitSize + 7) / 8
	point := []byte{4} // an uncompressed point follows
	for _, part := range []struct{ name, text string }{{"x", k.X}, {"y", k.Y}} {
		b, err := decodePart(part.name, part.text)
		if err != nil {
			return nil, err
		}
		if len(b) > size {
			return nil, fmt.Errorf("%s is too long", part.name)
		}
		point = append(append(point, make([]byte, size-len(b))...), b...)
	}
	return ecdsa.ParseUncompressedPublicKey(curve, point)
}

func (k *jwk) ed25519() (ed25519.PublicKey, error) {
	if k.Crv != "Ed25519" {
		return nil, fmt.Errorf("curve %q is not supported", k.Crv)
	}
	x, err := decodePart("x", k.X)
	if err != nil {
		return nil, err
	}
	if len(x) != ed25519.PublicKeySize {
		return nil, errors.New("x has the wrong length")
	}
	return ed25519.PublicKey(x), nil
}

func decodePart(name, text string) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil || len(b) == 0 {
		return nil, fmt.Errorf("%s is missing or not base64url", name)
	}
	return b, nil
}

// parsePEM returns the public keys and those of the certificates in data. They
// have no kid and verify tokens with any.
func parsePEM(data []byte, issuer *Issuer) ([]*publicKey, error) {
	var keys []*publicKey
	for n := 1; ; n++ {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		data = rest
		key, err := parseBlock(block)
		if err != nil {
			return nil, fmt.Errorf("PEM block %d: %w", n, err)
		}
		bound, err := bindKey("", "", key, issuer)
		if err != nil {
			return nil, fmt.Errorf("PEM block %d: %w", n, err)
		}
		keys = append(keys, bound)
	}
	if len(keys) == 0 {
		return nil, errors.New("no PEM block holds a key")
	}
	return keys, nil
}

func parseBlock(block *pem.Block) (crypto.PublicKey, error) {
	var (
		key crypto.PublicKey
		err error
	)
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var cert *x509.Certificate
		if cert, err = x509.ParseCertificate(block.Bytes); err == nil {
			key = cert.PublicKey
		}
	default:
		return nil, fmt.Errorf("%q is neither a public key nor a certificate", block.Type)
	}
	if err != nil {
		return nil, err
	}
	if k, ok := key.(*rsa.PublicKey); ok {
		return k, checkRSA(k)
	}
	return key, nil
}
