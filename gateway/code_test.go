package gateway

import (
	"testing"

	"github.com/weir-project/weir"
)

func TestCode(t *testing.T) {
	tests := []struct {
		level  weir.Level
		status int
		code   string
	}{
		{weir.LevelDeny, 403, "900805"},
		{weir.LevelAPI, 429, "900800"},
		{weir.LevelApplication, 429, "900803"},
		{weir.LevelBackend, 503, "900801"},
		{weir.LevelBackend + 1, 0, ""},
	}
	for _, tt := range tests {
		if status, code := Code(tt.level); status != tt.status || code != tt.code {
			t.Errorf("%v: got %d %q, want %d %q", tt.level, status, code, tt.status, tt.code)
		}
	}
}
