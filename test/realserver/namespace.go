//go:build unix

package realserver

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A Namespace is a network of its own, in which processes may run: a network namespace of Linux.
// Two cables lead to it: Front, for clients and for whoever looks after the processes, and
// Back, for what they have to say to others here, which can be cut.
type Namespace struct {
	Front, Back Cable
	name        string
}

// A Cable has an address at each of its ends.
type Cable struct {
	Here, There string
}

// NewNamespace makes a namespace, which is gone with the test. Where that is not
// possible, it skips the test: it takes Linux, root's rights, and ip of iproute2.
func NewNamespace(t testing.TB) *Namespace {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("NOT TESTED: there is no ip here, which makes network namespaces (apt-get install iproute2)")
	}
	n := &Namespace{name: fmt.Sprintf("weir%06x", rand.N(1<<24))}
	t.Cleanup(n.remove)
	// The networks are of those that are meant for tests (RFC 2544).
	net, first := fmt.Sprintf("198.%d.%d.", 18+rand.N(2), rand.N(256)), 8*rand.N(32)
	at := func(i int) string { return net + fmt.Sprint(first+i) }
	n.Front, n.Back = Cable{at(1), at(2)}, Cable{at(5), at(6)}
	// Back has a socket in the wall of its own, a bridge: where it is pulled out, both
	// ends go on to have their addresses.
	here := strings.NewReplacer("NAME", n.name, "FRONT", n.Front.Here, "BACK", n.Back.Here).Replace(`netns add NAME
link add NAMEf type veth peer name front netns NAME
link add NAMEb type veth peer name back netns NAME
link add NAMEw type bridge
link set NAMEb master NAMEw up
address add FRONT/30 dev NAMEf
address add BACK/30 dev NAMEw
link set NAMEf up
link set NAMEw up
`)
	there := strings.NewReplacer("FRONT", n.Front.There, "BACK", n.Back.There).Replace(`link set lo up
address add FRONT/30 dev front
address add BACK/30 dev back
link set front up
link set back up
`)
	err := ip(here, "-batch", "-")
	if err == nil {
		err = ip(there, "-netns", n.name, "-batch", "-")
	}
	if err != nil {
		t.Skipf("NOT TESTED: no network namespace can be made here: %v", err)
	}
	return n
}

// Cut pulls the cable Back: nothing arrives any more, and no connection hears of that.
func (n *Namespace) Cut(t testing.TB) { n.plug(t, "down") }

// Mend puts it back.
func (n *Namespace) Mend(t testing.TB) { n.plug(t, "up") }

func (n *Namespace) plug(t testing.TB, to string) {
	t.Helper()
	if err := ip("", "link", "set", n.name+"b", to); err != nil {
		t.Fatal(err)
	}
}

// Command returns the command that runs a program in the namespace. Without one
// (nil) it is the program's own.
func (n *Namespace) Command(program string, args ...string) []string {
	if n == nil {
		return append([]string{program}, args...)
	}
	return append([]string{"ip", "netns", "exec", n.name, program}, args...)
}

// remove removes what there is of the namespace. A cable is gone with one of its ends.
func (n *Namespace) remove() {
	for _, end := range []string{"f", "b", "w"} {
		_ = ip("", "link", "delete", n.name+end) // if it was made
	}
	_ = ip("", "netns", "delete", n.name) // likewise
}

// ip runs ip of iproute2.
func ip(input string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ip", args...)
	cmd.Stdin = strings.NewReader(input)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(text)))
	}
	return nil
}
