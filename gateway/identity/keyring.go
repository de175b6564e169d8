package identity

import (
	"crypto/sha256"
	"slices"
)

// maxTried is how many keys are tried on one token.
const maxTried = 4

// A keyring is the keys of an issuer at one time. It never changes.
type keyring struct {
	keys []*publicKey
}

// next returns the ring of keys, in which a key that k has already stays the
// same; and it marks the keys of k that are gone.
func (k *keyring) next(keys []*publicKey) *keyring {
	known := make(map[[sha256.Size]byte]*publicKey)
	if k != nil {
		for _, key := range k.keys {
			known[key.thumb] = key
		}
	}
	ring := &keyring{keys: make([]*publicKey, 0, len(keys))}
	for _, key := range keys {
		if old, ok := known[key.thumb]; ok {
			key = old
			delete(known, key.thumb)
		} else if slices.ContainsFunc(ring.keys, func(k *publicKey) bool { return k.thumb == key.thumb }) {
			continue
		}
		ring.keys = append(ring.keys, key)
	}
	for _, key := range known {
		key.removed.Store(true)
	}
	return ring
}

// find returns the keys that may have signed a token with that kid and
// algorithm. A kid names its keys, and keys without one otherwise; a token
// without kid may be signed with any. If there are none, unknown tells that the
// ring has no such key, rather than one for another algorithm.
func (k *keyring) find(id, alg string) (found []*publicKey, unknown bool) {
	named := id != "" && slices.ContainsFunc(k.keys, func(key *publicKey) bool { return key.id == id })
	unknown = true
	for _, key := range k.keys {
		switch {
		case named && key.id != id, !named && id != "" && key.id != "":
			continue
		}
		unknown = false
		if slices.Contains(key.algorithms, alg) {
			found = append(found, key)
		}
	}
	return found, unknown
}
