package project

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// What a synapse configuration may be.
const (
	maxSynapse      = 1 << 20 // bytes
	maxSynapseDepth = 100
)

// throttleHandler ends the class of the handler that holds the maximum throughput.
const throttleHandler = ".ThrottleHandler"

// A synapse is what a synapse configuration says of an API's backend.
type synapse struct {
	// API, Context and Version are attributes of the <api> element, empty in a
	// file that holds the handlers alone.
	api, context, version string
	properties            []property
	line                  int // of the handler
	handlers              int
}

// A property is one property of the handler.
type property struct {
	name, value string
	line        int
}

// readSynapse reads a synapse configuration: a whole <api>, or its <handlers>.
// Anything else in it is passed over, text between elements included.
func readSynapse(name string, text []byte, r *report) *synapse {
	s := &synapse{}
	if len(text) > maxSynapse {
		r.fault(&Fault{File: name, Message: fmt.Sprintf("is larger than %d MiB", maxSynapse>>20)})
		return s
	}
	p := &synapseParser{decoder: xml.NewDecoder(bytes.NewReader(text)), file: name, report: r, out: s}
	if err := p.parse(); err != nil {
		line, _ := p.decoder.InputPos()
		message := err.Error()
		if e, ok := errors.AsType[*xml.SyntaxError](err); ok {
			line, message = e.Line, e.Msg
		}
		r.fault(&Fault{File: name, Line: line, Message: "is no valid XML: " + message})
		return s
	}
	switch {
	case p.elements == 0:
		r.fault(&Fault{File: name, Message: "is no synapse configuration: it has no element"})
	case s.handlers == 0:
		r.fault(&Fault{File: name, Message: "has no handler of a class that ends in " + throttleHandler + ", so it says nothing of a maximum throughput"})
	case s.handlers > 1:
		r.fault(&Fault{File: name, Line: s.line, Message: fmt.Sprintf("has %d throttle handlers, where one is expected", s.handlers)})
	}
	return s
}

// A synapseParser goes over the elements of one file.
type synapseParser struct {
	decoder  *xml.Decoder
	file     string
	report   *report
	out      *synapse
	path     []string // names of the elements that are open
	inside   int      // depth of the throttle handler, 0 outside
	elements int
}

var (
	errDirective = errors.New("it has a document type, which is not read")
	errDepth     = fmt.Errorf("it is nested deeper than %d levels", maxSynapseDepth)
	errTwoRoots  = errors.New("it has more than one element at its top")
)

func (p *synapseParser) parse() error {
	for {
		token, err := p.decoder.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.Directive:
			return errDirective
		case xml.StartElement:
			if len(p.path) == 0 && p.elements > 0 {
				return errTwoRoots
			}
			if len(p.path) == maxSynapseDepth {
				return errDepth
			}
			p.elements++
			p.path = append(p.path, t.Name.Local)
			p.element(t)
		case xml.EndElement:
			if len(p.path) == p.inside {
				p.inside = 0
			}
			p.path = p.path[:len(p.path)-1]
		}
	}
}

// element takes from an element what it says.
func (p *synapseParser) element(e xml.StartElement) {
	line, _ := p.decoder.InputPos()
	switch {
	case e.Name.Local == "api" && len(p.path) == 1:
		p.out.api, p.out.context, p.out.version = attribute(e, "name"), attribute(e, "context"), attribute(e, "version")
	case e.Name.Local == "handler" && strings.HasSuffix("."+attribute(e, "class"), throttleHandler):
		p.out.handlers++
		p.out.line = line
		p.inside = len(p.path)
	case e.Name.Local == "property" && p.inside > 0:
		p.out.properties = append(p.out.properties, property{attribute(e, "name"), attribute(e, "value"), line})
	}
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name && a.Name.Space == "" {
			return strings.TrimSpace(a.Value)
		}
	}
	return ""
}

// ignoredProperties are those that say nothing of the throughput, and why.
var ignoredProperties = map[string]string{
	"id":                            "it numbers handlers",
	"policyKey":                     "it names a file of tiers; subscriptions name theirs in " + applicationName,
	"apiImplementationType":         "it says nothing of limits",
	"isTokenBasedThrottlingEnabled": "limits on tokens of language models are not supported",
}

// A maximum is the maximum throughput for one type of keys.
type maximum struct{ count, unit int64 }

// maxima returns the maximum throughput for production and sandbox keys, zero for
// none, and a note for each property that is not taken over.
func (s *synapse) maxima(name string, r *report) (production, sandbox maximum, notes []string) {
	fault := func(line int, format string, args ...any) {
		r.fault(&Fault{File: name, Line: line, Message: fmt.Sprintf(format, args...)})
	}
	fields := map[string]*int64{
		"productionMaxCount": &production.count, "productionUnitTime": &production.unit,
		"sandboxMaxCount": &sandbox.count, "sandboxUnitTime": &sandbox.unit,
	}
	seen := map[string]int{}
	for _, p := range s.properties {
		if first := seen[p.name]; first > 0 {
			fault(p.line, "the property %s is there a second time, first in line %d", quoted(p.name), first)
			continue
		}
		seen[p.name] = p.line
		field := fields[p.name]
		if field == nil {
			notes = append(notes, note(p.name))
			continue
		}
		most := int64(math.MaxInt32)
		if strings.HasSuffix(p.name, "UnitTime") {
			most = int64(366 * 24 * time.Hour / time.Millisecond)
		}
		n, err := strconv.ParseInt(p.value, 10, 64)
		if err != nil || n < 1 || n > most {
			fault(p.line, "%s must be a whole number from 1 to %d, not %s", p.name, most, quoted(p.value))
			continue
		}
		*field = n
	}
	for _, m := range []struct {
		of string
		*maximum
	}{{"production", &production}, {"sandbox", &sandbox}} {
		switch {
		case m.count > 0 && m.unit == 0:
			m.unit = 1000
		case m.count == 0 && m.unit > 0 && seen[m.of+"MaxCount"] == 0:
			notes = append(notes, fmt.Sprintf("%sUnitTime has no effect: there is no %sMaxCount", m.of, m.of))
			m.unit = 0
		}
	}
	if production.count == 0 && sandbox.count == 0 && !r.failed() {
		fault(s.line, "the throttle handler has neither productionMaxCount nor sandboxMaxCount")
	}
	return production, sandbox, notes
}

func note(name string) string {
	if why := ignoredProperties[name]; why != "" {
		return fmt.Sprintf("%s is ignored: %s", name, why)
	}
	return fmt.Sprintf("%s is ignored: it is not known", quoted(name))
}
