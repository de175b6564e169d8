package app

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

func TestHush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logbook{}
		h := newHush(logTo(log)).With("port", 1)
		for range 100 {
			h.Warn("login refused")
			h.Error("handshake failed")
			h.Info("told")
		}
		if log.count("login refused") != 1 || log.count("handshake failed") != 1 || log.count("told") != 100 {
			t.Errorf("logged %s", log)
		}
		time.Sleep(quiet + time.Second)
		h.Warn("login refused")
		if log.count("login refused") != 2 || log.count("times=100") != 1 || log.count("port=1") != 103 {
			t.Errorf("after a while: logged %s", log)
		}
		lines := slog.NewLogLogger(library{h}, slog.LevelWarn)
		for range 5 {
			lines.Printf("http: TLS handshake error from %s", "192.0.2.1:1")
		}
		if log.count("TLS handshake error") != 1 {
			t.Errorf("logged %s", log)
		}
	})
}
