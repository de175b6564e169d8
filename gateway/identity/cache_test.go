package identity

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

func TestTokenCache(t *testing.T) {
	c := newTokenCache(1000)
	key := new(publicKey)
	one, two := &Token{ID: "1"}, &Token{ID: "2"}
	c.put("one", one, key)
	c.put("two", two, key)
	if got := c.get("one"); got != one {
		t.Errorf("one: %+v", got)
	}
	if got := c.get("on"); got != nil {
		t.Errorf("on: %+v", got)
	}
	c.put("one", two, key)
	if got := c.get("one"); got != two {
		t.Errorf("one, put again: %+v", got)
	}
	c.remove("one")
	c.remove("never there")
	if got := c.get("one"); got != nil {
		t.Errorf("one, removed: %+v", got)
	}
	key.removed.Store(true)
	if got := c.get("two"); got != nil {
		t.Errorf("two, its key removed: %+v", got)
	}
	if n := c.len(); n != 0 {
		t.Errorf("%d left", n)
	}
}

// The cache never holds more than it was made for, and who is used stays.
func TestTokenCacheIsBounded(t *testing.T) {
	const size = 320
	c := newTokenCache(size)
	key := new(publicKey)
	c.put("used", &Token{ID: "used"}, key)
	for i := range 20 * size {
		c.put(fmt.Sprint(i), new(Token), key)
		if n := c.len(); n > size {
			t.Fatalf("%d tokens after %d, want at most %d", n, i+1, size)
		}
		if c.get("used") == nil {
			t.Fatalf("the token that is used is forgotten after %d others", i+1)
		}
	}
	if n := c.len(); n < size/4 {
		t.Errorf("%d tokens are left of %d", n, size)
	}
}

func TestTokenCacheIsBoundedInBytes(t *testing.T) {
	const size = 320
	c := newTokenCache(size)
	key := new(publicKey)
	for i := range 10 * size {
		c.put(strings.Repeat("x", MaxToken-8)+fmt.Sprintf("%08d", i), new(Token), key)
	}
	bytes := 0
	for i := range c.shards {
		for _, generation := range []map[uint64]*cachedToken{c.shards[i].young, c.shards[i].old} {
			for _, entry := range generation {
				bytes += len(entry.text)
			}
		}
	}
	// A generation may hold one token, however long it is.
	if most := size*cacheBytes + 2*cacheShards*MaxToken; bytes > most {
		t.Errorf("the cache holds %d bytes of text, want at most %d", bytes, most)
	}
}

// A token's text is a copy: the request's memory is used again.
func TestTokenCacheCopies(t *testing.T) {
	c := newTokenCache(10)
	buf := []byte("token")
	c.put(string(buf), new(Token), new(publicKey))
	copy(buf, "xxxxx")
	if c.get("token") == nil {
		t.Error("the token changed with the request's memory")
	}
}

func TestTokenCacheConcurrently(t *testing.T) {
	c := newTokenCache(64)
	key := new(publicKey)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 2000 {
				text := fmt.Sprint(i % 100)
				if got := c.get(text); got != nil && got.ID != text {
					t.Errorf("%s is %s", text, got.ID)
				}
				c.put(text, &Token{ID: text}, key)
				if i%17 == g {
					c.remove(text)
				}
			}
		})
	}
	wg.Wait()
	if n := c.len(); n > 64 {
		t.Errorf("%d tokens, want at most 64", n)
	}
	for i := range c.shards {
		sum := 0
		for _, entry := range c.shards[i].young {
			sum += len(entry.text)
		}
		if sum != c.shards[i].bytes {
			t.Errorf("shard %d counts %d bytes and holds %d", i, c.shards[i].bytes, sum)
		}
	}
}
