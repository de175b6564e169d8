package identity

import (
	"hash/maphash"
	"strings"
	"sync"
)

const (
	cacheShards = 16
	// cacheBytes is how much text of tokens is kept for each entry that the
	// cache may have; long tokens leave less room.
	cacheBytes = 2 << 10
)

// A tokenCache remembers verified tokens, so that each is verified once. Only
// verified ones get in, so nobody without tokens can fill it.
//
// It has two generations: when the young one is full it becomes the old one, and
// what was the old one is forgotten. Who is used moves back to the young one. So
// it holds the entries used last, at most as many as it was made for.
//
// Tokens are found by a keyed hash and then compared as a whole. Nobody can learn
// from the time this takes: a token that differs has another hash, and the hash
// can't be foreseen. SHA-256 would take ten times as long.
type tokenCache struct {
	seed   maphash.Seed
	shards [cacheShards]cacheShard
}

type cacheShard struct {
	mu         sync.RWMutex
	young, old map[uint64]*cachedToken
	bytes      int // of text in young
	most       int // entries in a generation
}

// A cachedToken is a verified token with its text and the key that it was
// verified with.
type cachedToken struct {
	text  string
	token *Token
	key   *publicKey
}

// newTokenCache returns a cache of up to size tokens.
func newTokenCache(size int) *tokenCache {
	c := &tokenCache{seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i].most = max(1, size/(2*cacheShards))
		c.shards[i].young = make(map[uint64]*cachedToken)
	}
	return c
}

// get returns the token with that text, or nil. A token whose key was removed
// is forgotten. Expiry is the caller's business.
func (c *tokenCache) get(text string) *Token {
	hash := maphash.String(c.seed, text)
	s := &c.shards[hash%cacheShards]
	s.mu.RLock()
	entry := s.young[hash]
	fresh := entry != nil
	if !fresh {
		entry = s.old[hash]
	}
	s.mu.RUnlock()
	if entry == nil || entry.text != text {
		return nil
	}
	if entry.key.removed.Load() {
		c.remove(text)
		return nil
	}
	if !fresh {
		s.put(hash, entry)
	}
	return entry.token
}

// put remembers a token. It keeps a copy of text.
func (c *tokenCache) put(text string, token *Token, key *publicKey) {
	hash := maphash.String(c.seed, text)
	c.shards[hash%cacheShards].put(hash, &cachedToken{strings.Clone(text), token, key})
}

// remove forgets a token.
func (c *tokenCache) remove(text string) {
	hash := maphash.String(c.seed, text)
	s := &c.shards[hash%cacheShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if entry := s.young[hash]; entry != nil {
		s.bytes -= len(entry.text)
		delete(s.young, hash)
	}
	delete(s.old, hash)
}

// len returns the number of entries; one that moved may count twice.
func (c *tokenCache) len() int {
	n := 0
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		n += len(s.young) + len(s.old)
		s.mu.RUnlock()
	}
	return n
}

func (s *cacheShard) put(hash uint64, entry *cachedToken) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if before := s.young[hash]; before != nil {
		s.bytes -= len(before.text)
	} else if len(s.young) >= s.most || s.bytes+len(entry.text) > s.most*cacheBytes {
		s.old, s.young, s.bytes = s.young, make(map[uint64]*cachedToken), 0
	}
	s.young[hash] = entry
	s.bytes += len(entry.text)
}
