package http1

import (
	"errors"
	"time"
)

// errThrottled ends an event stream that can't be thinned out.
var errThrottled = errors.New("event limit reached")

// throttledEvent tells the client of an event stream, once for each pause, that
// events are left out. It has a type of its own, so that only those who ask for
// it see it.
const throttledEvent = "event: throttled\ndata: " + throttledMessage + "\n\n"

// throttledMessage is WSO2's, with which its clients know what to do.
const throttledMessage = `{"code":"4003","message":"Message throttled out","description":"You have exceeded your quota"}`

// An events counts the events in an event stream as it goes by and leaves out
// those that may not pass. An event is a block of lines that ends with an empty
// one; comments (by which servers keep streams alive) are none.
type events struct {
	encoded bool // compressed: its events can't be told apart

	inLine  bool // the line has begun
	inEvent bool // the block has a line that is no comment
	cr      bool // the last line ended with CR, to which a LF would belong
	drop    bool // the block is left out
	dropLF  bool // so is a LF that belongs to its end
	told    bool // the client knows
}

// pass sends what may pass of data.
func (e *events) pass(c *conn, data []byte) error {
	if e.encoded {
		if len(data) > 0 && !c.event() {
			return errThrottled
		}
		return c.put(data)
	}
	from := 0 // where the part of data that passes begins
	for i, b := range data {
		switch {
		case b == '\n' && e.cr:
			e.cr = false
			if e.dropLF {
				from = i + 1
			}
			continue
		case b == '\n' || b == '\r':
			if e.endLine(b); e.dropLF {
				from = i + 1
			}
			continue
		}
		e.cr = false
		if !e.inLine && !e.inEvent && b != ':' {
			if err := e.begin(c, data[from:i]); err != nil {
				return err
			}
		}
		e.inLine = true
	}
	if e.drop {
		return nil
	}
	return c.put(data[from:])
}

// endLine ends a line with b, and with it the block if the line is empty.
func (e *events) endLine(b byte) {
	e.cr = b == '\r'
	e.dropLF = !e.inLine && e.drop
	if !e.inLine {
		e.inEvent, e.drop = false, false
	}
	e.inLine = false
}

// begin charges the event that begins. If it may not pass, what came before it is
// sent, and the client is told.
func (e *events) begin(c *conn, before []byte) error {
	e.inEvent = true
	if e.drop = !c.event(); !e.drop {
		e.told = false
		return nil
	}
	if err := c.put(before); err != nil {
		return err
	}
	return e.tell(c)
}

// tell tells the client that events are left out from here on.
func (e *events) tell(c *conn) error {
	if e.told {
		return nil
	}
	e.told = true
	return c.put([]byte(throttledEvent))
}

// event charges one message or event, and reports whether it may pass.
func (c *conn) event() bool {
	if c.server.meter == nil {
		return true
	}
	c.metering.Lock()
	defer c.metering.Unlock()
	return c.server.meter.Event(&c.x, time.Now())
}
