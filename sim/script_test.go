package sim

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// A step is one line of a script, taken apart. Exactly one of what follows text
// is set.
type step struct {
	line int
	text string

	at     *instant
	apply  *application
	hit    *hit
	open   *stream
	events *messages
	end    string // of the stream of that name
	count  *figure
}

// An instant is when a step takes place: after so long, or on a date.
type instant struct {
	after time.Duration
	date  time.Time // if not zero
}

// An application is a change of the project's files.
type application struct {
	prefix  string
	refused bool
	reason  string // part of the error, where refused
}

// A hit is so many equal requests, and what is to come of each.
type hit struct {
	caller
	method, target string

	every time.Duration // the clock moves on by this before each repetition
	times int           // how often count requests are made
	count int

	headers   [][2]string
	peer      netip.Addr
	body      int64 // -1: its size is not declared, but sent
	sent      int64
	answer    int64
	took      time.Duration
	unreached bool

	want verdict
}

// A caller is who sends a request: nobody, an application by one of its keys, or
// a user by a token of an application's client.
type caller struct {
	application string // empty: without credentials
	sandbox     bool
	user        string // empty: by API key
	token       int    // of several tokens of one user
	claims      [][2]string
	expires     time.Duration // after the start; zero: never in a script
}

// An outcome is what comes of a request.
type outcome string

// The outcomes.
const (
	allowed  outcome = "allow"    // forwarded to a backend
	denied   outcome = "deny"     // refused
	answered outcome = "answered" // by the gateway itself, as it was asked to
)

// A verdict is what is to come of a request; what is zero is not looked at.
type verdict struct {
	outcome
	code   string
	status int
	level  string
	policy string
	retry  int64
	left   int64 // -1: not looked at
	to     string
	path   string
}

// A stream is a WebSocket that is opened by a hit.
type stream struct {
	name string
	hit  *hit
}

// Messages are sent on a stream.
type messages struct {
	stream string
	count  int
	pass   bool
}

// A figure is what one of the gateway's counters must be.
type figure struct {
	name, level string
	want        uint64
}

// parseScript takes a script apart; an error names its line.
func parseScript(text string) ([]step, error) {
	var steps []step
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, " #")
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		s := step{line: i + 1, text: line}
		if err := s.parse(strings.Fields(line)); err != nil {
			return nil, fmt.Errorf("line %d: %s: %w", i+1, line, err)
		}
		steps = append(steps, s)
	}
	return steps, nil
}

func (s *step) parse(words []string) (err error) {
	verb, args := words[0], words[1:]
	switch {
	case verb == "at" && len(args) == 1:
		s.at, err = parseInstant(args[0])
	case verb == "apply" && len(args) > 0:
		s.apply, err = parseApply(args)
	case verb == "hit":
		s.hit, err = parseHit(args)
	case verb == "every" && len(args) > 2 && args[2] == "hit":
		if s.hit, err = parseHit(args[3:]); err == nil {
			err = s.hit.parseEvery(args[0], args[1])
		}
	case verb == "open" && len(args) > 1:
		s.open = &stream{name: args[0]}
		s.open.hit, err = parseHit(args[1:])
	case verb == "event" && len(args) > 1:
		s.events, err = parseMessages(args)
	case verb == "close" && len(args) == 1:
		s.end = args[0]
	case verb == "count" && (len(args) == 2 || len(args) == 3):
		s.count, err = parseFigure(args)
	default:
		err = fmt.Errorf("is not a step: see the package's comment")
	}
	return err
}

func parseInstant(s string) (*instant, error) {
	if date, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return &instant{date: date}, nil
	}
	after, err := time.ParseDuration(s)
	return &instant{after: after}, err
}

func parseApply(words []string) (*application, error) {
	a := &application{prefix: words[0]}
	if len(words) == 1 {
		return a, nil
	}
	if words[1] != "refused" {
		return nil, fmt.Errorf("%q is not refused", words[1])
	}
	a.refused, a.reason = true, strings.Join(words[2:], " ")
	return a, nil
}

func parseMessages(words []string) (*messages, error) {
	m := &messages{stream: words[0], count: 1}
	words = words[1:]
	if n, ok := strings.CutPrefix(words[0], "x"); ok {
		var err error
		if m.count, err = parseTimes(n); err != nil {
			return nil, err
		}
		words = words[1:]
	}
	if len(words) != 1 || (words[0] != "pass" && words[0] != "drop") {
		return nil, fmt.Errorf("want pass or drop")
	}
	m.pass = words[0] == "pass"
	return m, nil
}

func parseFigure(words []string) (*figure, error) {
	f := &figure{name: words[0]}
	if len(words) == 3 {
		f.level = words[1]
	}
	var err error
	f.want, err = strconv.ParseUint(words[len(words)-1], 10, 64)
	return f, err
}

func parseTimes(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%q is no number of times", "x"+s)
	}
	return n, nil
}
