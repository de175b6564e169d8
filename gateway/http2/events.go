package http2

import "errors"

// errThrottled ends an event stream of which no event can be left out.
var errThrottled = errors.New("the limit on events is spent")

// throttledEvent is sent in place of the events that are left out, once for each
// run of them. Its type is one that only those hear of who listen for it.
const throttledEvent = "event: throttled\n" +
	`data: {"code":"4003","message":"Message throttled out","description":"You have exceeded your quota"}` + "\n\n"

// An events takes a stream of server-sent events apart as it goes by, to leave
// out those that may not pass. An event begins with the first line of a block that
// is not a comment, and ends with an empty line.
type events struct {
	opaque bool               // compressed: there is no telling the events apart
	may    func() bool        // charges one event
	put    func([]byte) error // sends on what passes

	midLine  bool // the line has begun
	midEvent bool // the event has begun
	afterCR  bool // a LF would still belong to the end of the line
	leaveOut bool // the event does not pass
	swallow  bool // nor does the LF after it
	told     bool // the client knows that events are missing
}

// pass sends on what may pass of data.
func (e *events) pass(data []byte) error {
	if e.opaque {
		if !e.may() {
			return errThrottled
		}
		return e.put(data)
	}
	from := 0 // what is before has been dealt with
	for i, b := range data {
		lf := e.afterCR && b == '\n'
		e.afterCR = b == '\r'
		switch {
		case lf:
			if e.swallow {
				from = i + 1
			}
		case b == '\r' || b == '\n':
			if !e.midLine {
				if e.leaveOut {
					from = i + 1
				}
				e.swallow = e.leaveOut && e.afterCR
				e.midEvent, e.leaveOut = false, false
				continue
			}
			e.midLine = false
		case !e.midLine:
			e.midLine = true
			if !e.midEvent && b != ':' {
				e.midEvent = true
				if err := e.begin(data[from:i]); err != nil {
					return err
				}
				from = i
			}
		}
		e.swallow = e.swallow && e.afterCR
	}
	if e.leaveOut || from == len(data) {
		return nil
	}
	return e.put(data[from:])
}

// begin decides on the event that begins after before, which passes.
func (e *events) begin(before []byte) error {
	if len(before) > 0 {
		if err := e.put(before); err != nil {
			return err
		}
	}
	if e.may() {
		e.told = false
		return nil
	}
	e.leaveOut = true
	if e.told {
		return nil
	}
	e.told = true
	return e.put([]byte(throttledEvent))
}
