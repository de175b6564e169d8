package cli

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/weir-project/weir/load"
)

const (
	barPause  = 200 * time.Millisecond
	linePause = 5 * time.Second
)

// showProgress shows on standard error how far l is, until the function that it
// returns is called: as a bar on a terminal, and otherwise as a line now and then.
func showProgress(e Env, l *load.Load, o *load.Options) (stop func()) {
	pause, show, end := linePause, progressLine(e.Stderr, o), ""
	if t, ok := openTerminal(e.Stderr, e.Getenv); ok {
		pause, show, end = barPause, progressBar(t, o), "\r"+ansiClearLine
	}
	done := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		tick := time.NewTicker(pause)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				show(l.Progress())
			case <-done:
				_, _ = io.WriteString(e.Stderr, end) // a terminal that went away is told nothing
				return
			}
		}
	})
	return func() {
		close(done)
		group.Wait()
	}
}

func progressLine(w io.Writer, o *load.Options) func(load.Progress) {
	return func(p load.Progress) {
		if p.Started {
			fmt.Fprintf(w, "%s of %s: %s\n", p.Elapsed.Round(time.Second), o.Duration, progressText(p))
		} else {
			fmt.Fprintf(w, "%s\n", waitText(o, time.Now()))
		}
	}
}

func progressBar(t terminal, o *load.Options) func(load.Progress) {
	return func(p load.Progress) {
		columns, _ := t.size()
		fmt.Fprint(t.w, "\r"+drawBar(p, o, columns-1, time.Now())+ansiClearLine)
	}
}

// drawBar returns one line of at most so many columns.
func drawBar(p load.Progress, o *load.Options, columns int, now time.Time) string {
	if !p.Started {
		return fit(waitText(o, now), columns)
	}
	part := min(float64(p.Elapsed)/float64(o.Duration), 1)
	text := fmt.Sprintf(" %3.0f %%  %s", 100*part, progressText(p))
	width := min(columns-columnsOfText(text)-2, 30)
	if width < 5 {
		return fit(text[1:], columns)
	}
	full := int(part * float64(width))
	return "[" + strings.Repeat("=", full) + strings.Repeat(" ", width-full) + "]" + text
}

func progressText(p load.Progress) string {
	text := fmt.Sprintf("%d sent, %d admitted, %d refused", p.Total.Sent(), p.Total.Admitted, p.Total.Refused)
	if p.Total.Other > 0 {
		text += fmt.Sprintf(", %d other", p.Total.Other)
	}
	if p.Total.Failed > 0 {
		text += fmt.Sprintf(", %d errors", p.Total.Failed)
	}
	return text
}

// waitText says what a load waits for that has not started.
func waitText(o *load.Options, now time.Time) string {
	if o.Align == 0 {
		return "connecting"
	}
	wait := o.Align - time.Duration(now.UnixNano()%int64(o.Align))
	return fmt.Sprintf("starts in %s", (wait + time.Second - 1).Truncate(time.Second))
}
