package app

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "petstore.weir")
		// The bubble's clock stands still while files are written, so the
		// times of the file are set by hand.
		write := func(text string) {
			t.Helper()
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(name, time.Now(), time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		write("one")
		var changes atomic.Int32
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); watch(ctx, name, stampOf(name), func() { changes.Add(1) }) }()

		steps := []struct {
			what string
			do   func()
			want int
		}{
			{"nothing happens", func() {}, 0},
			{"it is replaced", func() { write("two") }, 1},
			{"nothing more happens", func() {}, 1},
			{"it goes away", func() { os.Remove(name) }, 1},
			{"it comes back as it was not", func() { write("three") }, 2},
			{"it grows for a while", func() {
				for range 6 {
					write("more and more")
					time.Sleep(watchInterval / 3)
				}
			}, 3},
		}
		for _, s := range steps {
			s.do()
			time.Sleep(4 * watchInterval)
			synctest.Wait()
			if got := int(changes.Load()); got != s.want {
				t.Errorf("%s: got %d changes, want %d", s.what, got, s.want)
			}
		}
		cancel()
		<-done
	})
}

func TestWatchWaitsForTheWriterToFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "petstore.weir")
		ctx, cancel := context.WithCancel(t.Context())
		var changes atomic.Int32
		done := make(chan struct{})
		go func() { defer close(done); watch(ctx, name, stampOf(name), func() { changes.Add(1) }) }()
		text := ""
		for range 20 {
			text += "part"
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(name, time.Now(), time.Now()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(watchInterval / 2)
		}
		if got := changes.Load(); got != 0 {
			t.Errorf("got %d changes while the file was written, want none", got)
		}
		time.Sleep(3 * watchInterval)
		synctest.Wait()
		if got := changes.Load(); got != 1 {
			t.Errorf("got %d changes, want 1", got)
		}
		cancel()
		<-done
	})
}
