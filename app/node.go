package app

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"os"

	"github.com/weir-project/weir/config"
)

// nodeName returns the node's name for people.
func nodeName(c *config.Config) string {
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	return cmp.Or(c.Node.Name, host, "weir")
}

// randomText returns a text that nobody can guess.
func randomText() string { return rand.Text() }

// randomNumber returns a number by chance, never zero.
func randomNumber() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:]) | 1
}
