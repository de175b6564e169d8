package faults

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A mutant is a bug that is planted in the real source: a text in a file, and the one in
// its place.
type mutant struct {
	name string
	file string // below the module
	old  string
	new  string
	bug  string // in words
	by   string // the invariants of which one catches it
}

// mutants are the planted bugs. docs/simulation.md has this table, which a test holds
// it to.
var mutants = []mutant{
	{
		"no fence", "limiter/memory/store.go",
		"b.Fenced = now-s.primary.since < int64(limiter.Fence)", "b.Fenced = false",
		"a store that lost its data grants at once, before nodes have told what they hold", "I1 I2 I5",
	},
	{
		"no new epoch", "limiter/memory/primary.go",
		"s.order, s.free, s.next, s.nodes = nil, nil, 0, nil\n\ts.primary.owner = 0", "s.order, s.free, s.next, s.nodes = nil, nil, 0, nil",
		"a store that was flushed does not say so", "I1 I5",
	},
	{
		"no WAIT", "limiter/answer.go",
		"if !b.Durable {", "if false {",
		"rights are spent that no replica has", "I1 I2",
	},
	{
		"increments", "limiter/memory/window.go",
		"r.sum += value - g.value", "r.sum += value",
		"what a node asserts is added, in place of what it asserted before", "I2 I5 I7",
	},
	{
		"numbers ignored", "limiter/memory/record.go",
		"return seq == 0 || ok && seq <= r.registers[i].seq", "return seq == 0 || ok && i < 0",
		"an assertion that comes late or twice replaces a newer one", "I1 I2 I5",
	},
	{
		"same number again", "limiter/memory/record.go",
		"seq <= r.registers[i].seq", "seq < r.registers[i].seq",
		"an assertion that comes twice is granted twice, the second time in place of the first", "I1 I2 I5",
	},
	{
		"records kept for ever", "limiter/memory/window.go",
		"r.expires = max(r.expires, over)", "r.expires = 1 << 62",
		"windows that are over stay in the store", "I7",
	},
	{
		"wall clock", "limiter/storeclock.go",
		"return nanos(*o) + int64(now.Sub(*o))", "return nanos(now)",
		"windows and leases end by a clock that anybody may set", "I1 I2 I5 I6",
	},
	{
		"clock too slow", "limiter/storeclock.go",
		"offset = most\n", "offset = least\n",
		"the store's clock is taken for what it was when it answered", "I1",
	},
	{
		"no drift", "limiter/storeclock.go",
		"return b.offset + max(local-b.at, 0)/drift", "return b.offset",
		"a clock that is slow is trusted until the next answer", "I1",
	},
	{
		"not asserted again", "limiter/lane.go",
		"\t\tln.restate()\n", "",
		"a new epoch is not told what the one before knew", "I1 I5 I7",
	},
	{
		"grants of an error", "limiter/sharer.go",
		"\t\tln.failed(local)\n\t\treturn\n", "",
		"what is in a batch after an error is taken for the answer", "I1 I2 I5 I6 I7",
	},
	{
		"rights carried over", "limiter/share.go",
		"sh.rights, sh.begins, sh.until = 0, 0, 0", "sh.begins, sh.until = 0, window",
		"rights to a window that is over are spent in the next", "I1 I2 I6",
	},
	{
		"rights before their time", "limiter/share.go",
		"if ns < sh.begins || ns >= sh.until {", "if ns >= sh.until {",
		"rights to the next window are spent while the store is still in this one", "I6",
	},
	{
		"rights after their time", "limiter/share.go",
		"if ns < sh.begins || ns >= sh.until {", "if ns < sh.begins {",
		"rights to a bucket are spent after the store has taken them for spent", "I1 I2",
	},
	{
		"rights given back and kept", "limiter/assert.go",
		"\t\tsh.rights = max(a.Register, mine)\n", "",
		"what a node gives back it spends as well", "I1 I2",
	},
	{
		"window before forgotten", "limiter/memory/record.go",
		"left := units(a.Limit) - r.sum - a.Past", "left := units(a.Limit) - r.sum",
		"a sliding window grants what its older part has spent", "I1 I2",
	},
	{
		"oldest part forgotten", "limiter/memory/window.go",
		"left := int64(before)\n", "left := int64(before) - 1\n",
		"a sliding window grants what the oldest of its parts has spent", "I1 I2",
	},
	{
		"end of a window not told", "limiter/assert.go",
		"\t\tif all || !t.same(e.told) {\n\t\t\tln.assertTold(e, t)\n\t\t}\n", "",
		"what was spent last in a window never reaches the store", "I5",
	},
	{
		"no fair share", "limiter/share.go",
		"return (n-1)/nodes + 1", "return n + 0*nodes",
		"a node that lost the store takes all of the limit for its own", "I4",
	},
	{
		"no back-off", "limiter/lane.go",
		"ln.retry = local + ln.sharer.jitter(int64(10*time.Millisecond)<<ln.fails)", "ln.retry = local",
		"a call that failed is made again at once", "I15",
	},
	{
		"held rights refill", "limiter/memory/bucket.go",
		"g.held > 0 && g.deadline > now", "g.held > 0 && now < 0",
		"a bucket refills while nodes hold rights to what was missing", "I1",
	},
	{
		"late events count now", "limiter/record.go",
		"if c.isAhead(k.Limit, ns) {", "if false {",
		"an event of a window that is over counts in the next", "I6",
	},
	{
		"older decisions", "gateway/decisions.go",
		"case i >= 0 && !e.Newer(&said[i].Decision):", "case i >= 0 && e.Seq == 0:",
		"a decision that comes late replaces a newer one", "I10",
	},
	{
		"no signature", "broker/decision.go",
		"if !s.signed(decisionForm(&d), *p.Signature) {", "if s.IsZero() {",
		"anybody may decide", "I10",
	},
	{
		"decisions outlive their windows", "gateway/decisions.go",
		"now.Add(in.Ends.Add(-skew).Sub(now))}", "now.Add(in.Ends.Add(time.Second - skew).Sub(now))}",
		"a decision holds for a second more than its window", "I10",
	},
	{
		"clocks taken for the same", "gateway/decisions.go",
		"now.Add(in.Ends.Add(-skew).Sub(now))}", "now.Add(in.Ends.Sub(now))}",
		"windows end by the clock of whoever decided, read on the gateway's", "I10",
	},
	{
		"decisions not forgotten", "gateway/decisions.go",
		"return e.Issuer != issuer || ", "return true || e.Issuer != issuer || ",
		"what a traffic manager says no more goes on to hold", "I10",
	},
	{
		"decisions by the wall clock", "gateway/decisions.go",
		"now.Add(in.Ends.Add(-skew).Sub(now))}", "in.Ends.Add(-skew)}",
		"a decision holds for longer if the gateway's clock is set back", "I10",
	},
	{
		"decisions of before", "gateway/decisions.go",
		"case in.Seq <= upTo && ", "case in.Seq <= upTo && in.Seq == 0 && ",
		"a decision that was taken back before the gateway began holds when it comes late", "I10",
	},
	{
		"decisions of strangers", "gateway/decisions.go",
		"case !known:", "case !known && in.Seq == 0:",
		"decisions are heeded of whoever has not answered, or has ended", "I10",
	},
	{
		"decisions without numbers", "trafficmanager/force.go",
		"d.Seq = h.seq", "d.Seq = 1",
		"nobody can tell the older of two decisions", "I10",
	},
	{
		"missed decisions", "trafficmanager/force.go",
		"m.force.history.since(now, version)", "m.force.history.since(now, m.force.history.version())",
		"what the topic has lost is not heard later", "I10",
	},
	{
		"batches counted again", "trafficmanager/node.go",
		"case !n.seen.add(h.Seq):", "case !n.seen.add(h.Seq) && h.Seq == 0:",
		"a batch that comes twice is counted twice", "I5",
	},
	{
		"restatements counted again", "trafficmanager/ledger.go",
		"if missing = sum.n - told.n; missing <= 0 {", "if missing = sum.n; missing <= 0 {",
		"a restatement is counted beside what was told before", "I5",
	},
}

const timeToCatch = 60 * time.Second

// TestMutants plants each bug and shows that the simulation finds it.
func TestMutants(t *testing.T) {
	switch {
	case race:
		t.Skip("the race detector makes this ten times slower")
	case testing.Short():
		t.Skip("it builds the simulation with each bug")
	case *flagSeed != 0 || *flagFor > 0:
		t.Skip("it is seeds that are asked for")
	}
	for _, m := range mutants {
		t.Run(strings.ReplaceAll(m.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			invariant, seed := m.caught(t)
			switch {
			case invariant == "":
				t.Errorf("%s: no invariant is violated within %v", m.bug, timeToCatch)
			case !strings.Contains(" "+m.by+" ", " "+invariant+" "):
				t.Errorf("%s: caught by %s (seed %d), want one of %s", m.bug, invariant, seed, m.by)
			default:
				t.Logf("%s: caught by %s, seed %d", m.bug, invariant, seed)
			}
		})
	}
}

// TestMutantsAreDocumented holds docs/simulation.md to the table above.
func TestMutantsAreDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.FromSlash("../../docs/simulation.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "| Planted | What it breaks | Caught by |\n|---|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	var want strings.Builder
	for _, m := range mutants {
		want.WriteString("| " + m.name + " | " + m.bug + " | " + strings.ReplaceAll(m.by, " ", ", ") + " |\n")
	}
	if got := strings.TrimSpace(table) + "\n"; got != want.String() {
		t.Errorf("docs/simulation.md has\n%s\nwant\n%s", got, want.String())
	}
}

var violated = regexp.MustCompile(`seed (\d+) \(.*\), at .*?: (I\d+): .*`)

// caught builds the simulation with the bug, runs it, and returns the invariant that is
// violated; none if none is. A seed that shows a violation without the bug shows nothing.
func (m *mutant) caught(t *testing.T) (invariant string, seed uint64) {
	t.Helper()
	binary := m.build(t)
	from, of := uint64(1), "fleets"
	if strings.HasPrefix(m.file, "limiter/") {
		of = "worlds"
	}
	for until := time.Now().Add(timeToCatch); time.Now().Before(until); from = seed + 1 {
		left := time.Until(until).Round(time.Millisecond)
		cmd := exec.Command(binary, "-test.run=^TestSeeds$", fmt.Sprintf("-faults.for=%v", left),
			fmt.Sprintf("-faults.from=%d", from), "-faults.of="+of)
		cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
		out, err := cmd.CombinedOutput()
		if err == nil {
			return "", 0
		}
		found := violated.FindSubmatch(out)
		if found == nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if seed, err = strconv.ParseUint(string(found[1]), 10, 64); err != nil {
			t.Fatal(err)
		}
		if runSeed(seed, nil).wrong == nil {
			t.Logf("%s", found[0])
			return string(found[2]), seed
		}
	}
	return "", 0
}

// build builds the tests of this package over source with the bug, and returns the program.
func (m *mutant) build(t *testing.T) string {
	t.Helper()
	file, err := filepath.Abs(filepath.Join("..", "..", filepath.FromSlash(m.file)))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), m.old); n != 1 {
		t.Fatalf("%s has %d times %q, want it once: the list of mutants must follow the source", m.file, n, m.old)
	}
	dir := t.TempDir()
	mutated, overlay, binary := filepath.Join(dir, "mutated.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "faults.test")
	if err := os.WriteFile(mutated, []byte(strings.Replace(string(text), m.old, m.new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {file: mutated}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(overlay, replace, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", binary, ".").CombinedOutput()
	if err != nil {
		t.Fatalf("go test -c: %v\n%s", err, out)
	}
	return binary
}
