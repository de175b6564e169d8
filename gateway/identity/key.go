package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"math/big"
	"strings"
	"unsafe"
)

// An API key is the prefix, 256 random bits in base 62, and a checksum of what
// stands before it. The prefix lets secret scanners find keys that were
// published; the checksum tells them, and us, a key from a typing error without
// a look-up. Letters and digits only, so a double click selects all of it.
const (
	keyPrefix   = "weir_"
	keySecret   = 43 // digits of base 62 that hold 256 bits
	keyChecksum = 6  // digits of base 62 that hold 32 bits
	keyLength   = len(keyPrefix) + keySecret + keyChecksum
)

// hashScheme begins the stored form of a key.
const hashScheme = "sha256:"

// hashDomain is hashed before the key, so that the hash of a key is of no use
// anywhere else.
const hashDomain = "weir api key\x00"

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// NewKey returns a new API key and what is to be stored of it. The text is
// shown once and kept nowhere.
func NewKey() (text, hash string) {
	var secret [32]byte
	rand.Read(secret[:]) // never fails
	text = keyPrefix + inBase62(new(big.Int).SetBytes(secret[:]), keySecret)
	text += keySum(text)
	return text, HashKey(text)
}

// HashKey returns what is stored of a key: "sha256:" and 64 hexadecimal digits.
//
// One round of SHA-256 without a salt is right here, and would be wrong for a
// password: nobody can go through 2^256 keys, so there is nothing to slow down,
// and without a salt a key is found by one look-up of its hash.
func HashKey(text string) string {
	h := sumKey(text)
	return hashScheme + hex.EncodeToString(h[:])
}

// CheckKey says whether text has the form of an API key, checksum included. It
// says nothing about whether the key exists.
func CheckKey(text string) error {
	if err := checkKey(text); err != nil {
		return err
	}
	return nil
}

// ParseKeyHash reports what is wrong with the stored form of a key.
func ParseKeyHash(stored string) error {
	_, err := decodeHash(stored)
	return err
}

func checkKey(text string) *Error {
	switch {
	case !strings.HasPrefix(text, keyPrefix):
		return errKeyPrefix
	case len(text) != keyLength:
		return errKeyLength
	}
	for i := len(keyPrefix); i < len(text); i++ {
		c := text[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return errKeyDigit
		}
	}
	var sum [keyChecksum]byte
	putKeySum(sum[:], text[:keyLength-keyChecksum])
	if text[keyLength-keyChecksum:] != string(sum[:]) {
		return errKeySum
	}
	return nil
}

var (
	errKeyPrefix = invalid(`API key does not start with "weir_"`)
	errKeyLength = invalid("API key has the wrong length")
	errKeyDigit  = invalid("API key has a character that no key has")
	errKeySum    = invalid("API key has a wrong checksum: it is mistyped or made up")
)

// sumKey returns the hash of a key. Keys of the right length cost no allocation.
func sumKey(text string) [sha256.Size]byte {
	var buf [len(hashDomain) + keyLength]byte
	return sha256.Sum256(append(append(buf[:0], hashDomain...), text...))
}

// decodeHash returns the hash in the stored form of a key.
func decodeHash(stored string) (hash [sha256.Size]byte, err error) {
	digits, ok := strings.CutPrefix(stored, hashScheme)
	if !ok {
		return hash, errors.New(`hash of a key does not start with "sha256:"`)
	}
	if len(digits) != hex.EncodedLen(len(hash)) {
		return hash, errors.New(`hash of a key has not 64 digits after "sha256:"`)
	}
	if _, err := hex.Decode(hash[:], []byte(digits)); err != nil {
		return hash, errors.New("hash of a key is not hexadecimal")
	}
	return hash, nil
}

// keySum returns the checksum of a key's beginning.
func keySum(text string) string {
	var sum [keyChecksum]byte
	putKeySum(sum[:], text)
	return string(sum[:])
}

func putKeySum(dst []byte, text string) {
	// A copy on the stack would not stay there: crc32 calls by a variable.
	n := crc32.ChecksumIEEE(unsafe.Slice(unsafe.StringData(text), len(text)))
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = base62[n%62]
		n /= 62
	}
}

// inBase62 returns n in base 62 with the given number of digits.
func inBase62(n *big.Int, digits int) string {
	out := make([]byte, digits)
	base, digit := big.NewInt(62), new(big.Int)
	for i := digits - 1; i >= 0; i-- {
		n.DivMod(n, base, digit)
		out[i] = base62[digit.Int64()]
	}
	return string(out)
}
