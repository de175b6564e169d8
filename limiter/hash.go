package limiter

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// A Seed keys the hashes of a limiter's keys. Nobody who doesn't know the seed
// can choose keys that collide. The zero Seed works and is for tests.
type Seed struct{ a, b uint64 }

// NewSeed returns a random seed.
func NewSeed() Seed {
	var p [16]byte
	rand.Read(p[:]) // never fails
	return Seed{binary.LittleEndian.Uint64(p[:8]), binary.LittleEndian.Uint64(p[8:])}
}

// SeedOf returns the seed that follows from a secret, so that all who know the
// secret have the same keys. It tells nothing of the secret.
func SeedOf(secret []byte) Seed {
	m := hmac.New(sha256.New, secret)
	m.Write([]byte("weir keys v1"))
	p := m.Sum(nil)
	return Seed{binary.LittleEndian.Uint64(p[:8]), binary.LittleEndian.Uint64(p[8:])}
}

// Key returns the key of parts. Two different lists of parts have different
// keys, but for a chance of 2^-64: "a", "bc" is not "ab", "c".
func (s Seed) Key(parts ...string) Key {
	h := s.Hash()
	for _, p := range parts {
		h = h.Add(p)
	}
	return h.Key()
}

// Hash begins a key that is made part by part.
func (s Seed) Hash() Hash { return Hash{s.a ^ m0, s.b ^ m1} }

// A Hash is a key in the making: a value, so that a common beginning can be
// kept and continued in different ways.
type Hash struct{ state, seed uint64 }

// These are large odd constants with an even mix of bits.
const (
	m0 = 0x9e3779b97f4a7c15
	m1 = 0xe7037ed1a0b428db
	m2 = 0x8ebc6af09c88c6e3
	m3 = 0x589965cc75374cc3
)

// Add returns h continued by one part.
func (h Hash) Add(part string) Hash {
	n := len(part)
	state := mix(h.state^uint64(n)^m2, h.seed^m3)
	for ; n > 16; n -= 16 {
		state = mix(load8(part)^state, load8(part[8:])^h.seed)
		part = part[16:]
	}
	var a, b uint64
	switch {
	case n >= 8:
		a, b = load8(part), load8(part[n-8:])
	case n >= 4:
		a, b = load4(part), load4(part[n-4:])
	case n > 0:
		a = uint64(part[0])<<16 | uint64(part[n>>1])<<8 | uint64(part[n-1])
	}
	h.state = mix(a^state^m1, b^h.seed)
	return h
}

// AddUint64 returns h continued by a number, as a part of its own.
func (h Hash) AddUint64(v uint64) Hash {
	h.state = mix(v^h.state^m3, h.seed^m2)
	return h
}

// Key returns the key of the parts that were added.
func (h Hash) Key() Key {
	k := mix(h.state^m0, h.seed^m2)
	if k == 0 {
		k = m0
	}
	return Key(k)
}

// mix folds the 128-bit product of a and b.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

func load8(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

func load4(s string) uint64 {
	_ = s[3]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24
}
