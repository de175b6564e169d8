package ingest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// A User may talk to a traffic manager.
type User struct{ Name, Password string }

// A guard knows who may talk. Of passwords it keeps hashes under a key of its own:
// they are secrets of machines, long enough not to be guessed, and are checked
// with every batch.
type guard struct {
	key         [sha256.Size]byte
	users       [][sha256.Size]byte
	certificate func(*x509.Certificate) bool
	refusals    refusals
}

func (g *guard) init(o *Options) error {
	if len(o.Users) == 0 && o.Certificate == nil {
		return errors.New("serve a traffic manager: there are neither users nor certificates, so nobody may talk to it")
	}
	rand.Read(g.key[:]) // never fails
	for i, u := range o.Users {
		if u.Name == "" || u.Password == "" {
			return fmt.Errorf("serve a traffic manager: user %d has no name or no password", i)
		}
		g.users = append(g.users, g.sum(u.Name, u.Password))
	}
	g.certificate, g.refusals.log = o.Certificate, o.Log
	return nil
}

// sum returns the hash of a name and a password.
func (g *guard) sum(name, password string) (sum [sha256.Size]byte) {
	m := hmac.New(sha256.New, g.key[:])
	var length [8]byte
	binary.LittleEndian.PutUint64(length[:], uint64(len(name)))
	m.Write(length[:])
	m.Write([]byte(name))
	m.Write([]byte(password))
	m.Sum(sum[:0])
	return sum
}

// admits reports whether whoever sent r may talk. How long that takes tells
// nothing of names or passwords.
func (g *guard) admits(r *http.Request, now time.Time) bool {
	if g.certificate != nil && r.TLS != nil && len(r.TLS.VerifiedChains) > 0 && g.certificate(r.TLS.VerifiedChains[0][0]) {
		return true
	}
	name, password, ok := r.BasicAuth()
	if ok {
		sum, found := g.sum(name, password), 0
		for i := range g.users {
			found |= subtle.ConstantTimeCompare(sum[:], g.users[i][:])
		}
		if found == 1 {
			return true
		}
	}
	g.refusals.add(r, now, name)
	return false
}

// refusals logs that logins were refused, but not each of a flood.
type refusals struct {
	log *slog.Logger

	mu     sync.Mutex
	logged time.Time
	n      int // since then
}

// refusalPause is how long no refusal is logged after one was.
const refusalPause = 10 * time.Second

func (s *refusals) add(r *http.Request, now time.Time, user string) {
	if s.log == nil {
		return
	}
	s.mu.Lock()
	s.n++
	if since := now.Sub(s.logged); since >= 0 && since < refusalPause {
		s.mu.Unlock()
		return
	}
	n := s.n
	s.logged, s.n = now, 0
	s.mu.Unlock()
	s.log.Warn("login refused", "remote", r.RemoteAddr, "user", shortened(user), "refusals", n)
}

// shortened returns the beginning of a text that others wrote, for the log.
func shortened(s string) string { return s[:min(len(s), 64)] }
