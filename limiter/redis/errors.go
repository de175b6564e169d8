package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/redis/go-redis/v9"
)

// A cause is what a server means by an error, which begins with a word.
type cause struct{ word, means, advice string }

const (
	noCluster   = "the server is part of a sharded cluster, which is not supported"
	noRight     = "the server's user may not do this"
	giveRights  = "give the user the rights that the documentation lists"
	otherServer = "use a server that is not part of a sharded cluster"
)

// causes returns all of them.
func causes() []cause {
	return []cause{
		{"READONLY", "the server is a replica, not a primary", "give the address of the primary, or Sentinels"},
		{"MASTERDOWN", "the server is a replica that has lost its primary", "give the address of the primary, or Sentinels"},
		{"LOADING", "the server is still loading its data", "wait until it has"},
		{"OOM", "the server's memory is full (maxmemory)", "raise maxmemory"},
		{"NOAUTH", "the server asks for a password", "give the user and the password"},
		{"WRONGPASS", "the server does not know this user and password", "correct the user or the password"},
		{"NOPERM", noRight, giveRights},
		{"ERR The user executing the script", noRight, giveRights},
		{"NOREPLICAS", "too few replicas are connected for the server to write (min-replicas-to-write)", "start the replicas, or lower min-replicas-to-write"},
		{"MISCONF", "the server cannot save its data and refuses to write", "make room on its disk, or mend it"},
		{"BUSY", "the server is busy with a script", "find out whose script it is (SLOWLOG GET)"},
		{"MOVED", noCluster, otherServer},
		{"ASK", noCluster, otherServer},
		{"CLUSTERDOWN", noCluster, otherServer},
		{"CROSSSLOT", noCluster, otherServer},
		{"ERR Script attempted to access a non local key", noCluster, otherServer},
		{"NOSCRIPT", "the server forgets the script", "find out who has it do so (SCRIPT FLUSH)"},
		{"DENIED", "the server takes only connections from its own host (protected-mode)", "set a password, and have it listen on the right addresses"},
		{"ERR max number of clients", "the server has too many clients", "raise maxclients"},
		{"ERR AUTH", "the server asks for no password", "give none"},
		{"ERR DB index", "the server has no such database", "correct the number of the database"},
	}
}

// maxText is how much of a server's error is told.
const maxText = 200

// A serverError is an error that the server answered.
type serverError struct {
	cause
	text string
	err  error
}

// Error implements error.
func (e *serverError) Error() string {
	if e.means == "" {
		return fmt.Sprintf("the server says %q", e.text)
	}
	return fmt.Sprintf("%s: it says %q", e.means, e.text)
}

// Unwrap returns the error of the client.
func (e *serverError) Unwrap() error { return e.err }

// explain says what an error of the client means.
func explain(err error) error {
	var timeout net.Error
	var said *serverError
	switch {
	case err == nil, errors.Is(err, errAnswer), errors.Is(err, errNoRedis), errors.As(err, &said):
		return err
	case errors.Is(err, redis.Nil):
		return fmt.Errorf("%w: it is nothing", errAnswer)
	case isAnswer(err):
		return explainAnswer(err)
	case errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted):
		return fmt.Errorf("all connections are taken: %w", err)
	case errors.Is(err, redis.ErrClosed):
		return fmt.Errorf("the store was closed: %w", err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("no answer in time: %w", err)
	}
	return err
}

// isAnswer reports whether err is what the server said.
func isAnswer(err error) bool {
	return redis.HasErrorPrefix(err, "") && !errors.Is(err, redis.Nil)
}

func explainAnswer(err error) error {
	var said redis.Error
	errors.As(err, &said) // it is one
	text := said.Error()
	e := &serverError{text: text[:min(len(text), maxText)], err: err}
	for _, c := range causes() {
		// Errors within a script are wrapped by older servers.
		if strings.HasPrefix(text, c.word) || strings.HasPrefix(text, "ERR Error running script") && strings.Contains(text, "-"+c.word+" ") {
			e.cause = c
			break
		}
	}
	return e
}
