package sim

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestFleets runs every script in testdata/fleet, each with a fleet of its own.
func TestFleets(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("testdata", "fleet", "*.txt"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("there are no scripts in testdata/fleet: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			t.Parallel()
			runFleet(t, path)
		})
	}
}

func runFleet(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	script, files, err := split(string(text))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	shape, late, steps, err := parseFleet(script)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	s := newStory(t, files)
	if _, err := s.definition(""); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(start))
		f := newFleet(t, s, shape)
		defer f.end()
		err := f.start(late)
		if err == nil {
			err = f.run(steps)
		}
		if e, ok := errors.AsType[*stepError](err); ok {
			t.Errorf("%s:%d: %v", path, e.line, err)
		} else if err != nil {
			t.Errorf("%s: %v", path, err)
		}
	})
}

// A fleetStep is one line of a script about a fleet.
type fleetStep struct {
	line int
	text string
	verb string

	at       *time.Duration
	wait     time.Duration
	node     string
	hit      *hit
	rate     int
	duration time.Duration
	on       []string
	between  [2]int
	topic    *topicStep
	apply    string
	ahead    time.Duration
	what     string
}

type topicStep struct {
	up     bool
	faults topicFaults
}

// parseFleet takes a script apart; an error names its line.
func parseFleet(text string) (shape fleetShape, late []string, steps []fleetStep, err error) {
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, " #")
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		words := strings.Fields(line)
		s := fleetStep{line: i + 1, text: line, verb: words[0]}
		switch {
		case s.verb == "fleet":
			shape, late, err = parseShape(words[1:])
		default:
			err = s.parse(words[1:])
			steps = append(steps, s)
		}
		if err != nil {
			return shape, nil, nil, fmt.Errorf("line %d: %s: %w", i+1, line, err)
		}
	}
	if shape.gateways == 0 {
		return shape, nil, nil, errors.New("there is no line that says what the fleet has")
	}
	return shape, late, steps, nil
}

// parseShape parses "3 gateways 2 managers [alone] [groups] [late NODE...]".
func parseShape(words []string) (s fleetShape, late []string, err error) {
	for i := 0; i < len(words) && err == nil; i++ {
		switch word := words[i]; {
		case word == "gateways" && i > 0:
			s.gateways, err = strconv.Atoi(words[i-1])
		case word == "managers" && i > 0:
			s.managers, err = strconv.Atoi(words[i-1])
		case word == "alone":
			s.alone = true
		case word == "groups":
			s.groups = true
		case word == "late":
			return s, words[i+1:], nil
		case word[0] < '0' || word[0] > '9':
			err = fmt.Errorf("%q is nothing that a fleet has", word)
		}
	}
	return s, nil, err
}

func (s *fleetStep) parse(args []string) (err error) {
	switch n := len(args); {
	case s.verb == "at" && n == 1:
		var d time.Duration
		d, err = time.ParseDuration(args[0])
		s.at = &d
	case s.verb == "wait" && n == 1:
		s.wait, err = time.ParseDuration(args[0])
	case s.verb == "hit" && n > 3:
		s.node = args[0]
		s.hit, err = parseHit(args[1:])
	case s.verb == "load" && n > 4:
		err = s.parseLoad(args)
	case s.verb == "admitted" && n == 1:
		s.between, err = parseBetween(args[0])
	case s.verb == "topic" && n > 0:
		err = s.parseTopic(args)
	case s.verb == "apply" && n > 0:
		s.apply = args[0]
		if n > 1 {
			s.on = args[1:]
		}
	case s.verb == "clock" && n == 2:
		s.node = args[0]
		s.ahead, err = time.ParseDuration(args[1])
	case s.verb == "count" && n == 3:
		s.node, s.what = args[0], args[1]
		s.between, err = parseBetween(args[2])
	case n == 1 && strings.Contains(" kill start hang resume ", " "+s.verb+" "):
		s.node = args[0]
	default:
		err = errors.New("is not a step: see the package's comment")
	}
	return err
}

// parseLoad parses "WHO METHOD TARGET rate=1000 for=10s [on=g1,g2] [OPTION...]".
func (s *fleetStep) parseLoad(args []string) error {
	words := append([]string(nil), args[:3]...)
	words = append(words, "allow")
	var err error
	for _, w := range args[3:] {
		name, value, _ := strings.Cut(w, "=")
		switch name {
		case "rate":
			s.rate, err = strconv.Atoi(value)
		case "for":
			s.duration, err = time.ParseDuration(value)
		case "on":
			s.on = strings.Split(value, ",")
		default:
			words = append(words, w)
		}
		if err != nil {
			return err
		}
	}
	if s.rate <= 0 || s.duration <= 0 {
		return errors.New("needs rate= and for=")
	}
	s.hit, err = parseHit(words)
	return err
}

// parseBetween parses "10" or "10..12".
func parseBetween(s string) (b [2]int, err error) {
	low, high, ok := strings.Cut(s, "..")
	if !ok {
		high = low
	}
	if b[0], err = strconv.Atoi(low); err == nil {
		b[1], err = strconv.Atoi(high)
	}
	return b, err
}

func (s *fleetStep) parseTopic(args []string) (err error) {
	t := &topicStep{up: true}
	for _, w := range args {
		name, value, _ := strings.Cut(w, "=")
		switch name {
		case "up", "fine":
		case "down":
			t.up = false
		case "lose":
			t.faults.lose = true
		case "double":
			t.faults.double = true
		case "shuffle":
			t.faults.shuffle = true
		case "late":
			t.faults.late, err = time.ParseDuration(value)
		default:
			err = fmt.Errorf("%q is nothing that can be done to a topic", w)
		}
	}
	s.topic = t
	return err
}
