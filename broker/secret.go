package broker

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"log/slog"
)

// A Secret signs messages, and tells those that were signed with it from others.
// All traffic managers and gateways of a fleet have the same. Under the zero Secret
// nothing can be signed, and no message is right. It never shows itself in text.
type Secret struct {
	key [sha256.Size]byte
	set bool
}

// NewSecret returns the Secret that follows from b, so that all who know b have the
// same one. Of no bytes follows the zero Secret. Whether b can be guessed is for
// the caller to judge.
func NewSecret(b []byte) Secret {
	if len(b) == 0 {
		return Secret{}
	}
	key, err := hkdf.Key(sha256.New, b, nil, "weir decisions v1", sha256.Size)
	if err != nil { // only for lengths that no hash can give
		return Secret{}
	}
	s := Secret{set: true}
	copy(s.key[:], key)
	return s
}

// IsZero reports whether s is the zero Secret.
func (s Secret) IsZero() bool { return !s.set }

// String returns a text that tells nothing of the secret.
func (s Secret) String() string { return "(secret)" }

// GoString returns the same as String.
func (s Secret) GoString() string { return "(secret)" }

// LogValue returns the same as String.
func (s Secret) LogValue() slog.Value { return slog.StringValue("(secret)") }

// sign returns the signature of a canonical form, as it stands in messages. Under
// the zero Secret it is empty.
func (s Secret) sign(c canonical) string {
	if !s.set {
		return ""
	}
	return base64.StdEncoding.EncodeToString(s.sum(c))
}

// signed reports whether signature is that of c.
func (s Secret) signed(c canonical, signature string) bool {
	if !s.set {
		return false
	}
	got, err := base64.StdEncoding.DecodeString(signature)
	return err == nil && hmac.Equal(got, s.sum(c))
}

func (s Secret) sum(c canonical) []byte {
	m := hmac.New(sha256.New, s.key[:])
	m.Write(c)
	return m.Sum(nil)
}

// A canonical is the form of a message that is signed: the kind of message and all
// its fields in a fixed order, each of a fixed length or behind its length. So two
// different messages never have the same form, however their JSON is written.
type canonical []byte

// form begins the canonical form of a kind of message.
func form(kind string) canonical { return make(canonical, 0, 512).text(kind) }

func (c canonical) text(s string) canonical {
	return append(binary.BigEndian.AppendUint32(c, uint32(len(s))), s...)
}

func (c canonical) number(v uint64) canonical { return binary.BigEndian.AppendUint64(c, v) }

func (c canonical) flag(b bool) canonical {
	if b {
		return append(c, 1)
	}
	return append(c, 0)
}
